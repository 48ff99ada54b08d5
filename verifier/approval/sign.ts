import { randomBytes } from 'node:crypto';
import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { signJws } from '../envelope/jws.ts';
import { parseRoot, type RootClaims } from '../envelope/root.ts';
import { Refusal } from '../errors.ts';
import { isJsonObject } from '../json.ts';
import type { Signer } from '../keys.ts';
import { limits } from '../limits.ts';
import { contentDigest } from '../proof/content.ts';
import { approvalType } from './approval.ts';
import { rootHash } from './hashes.ts';
import { type ApprovalRequest, describedHash } from './request.ts';

const members = new Set([
  'version',
  'account',
  'method',
  'url',
  'headers',
  'content_digest',
  'body',
  'root',
  'request',
  'envelope',
]);

const invalid = (message: string): Refusal => new Refusal('approval_request_invalid', message);

/**
 * A request whose every hash was computed here, from what can be shown. Only {@link readApprovalRequest} makes one, and
 * nothing else can be signed.
 */
class ShownRequest {
  readonly account: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentDigest: string;
  /** The content; undefined where it was withheld. */
  readonly body: Uint8Array | undefined;
  /** Claims of the root block. Their signature was not verified; a false root has a hash that no API will meet. */
  readonly root: RootClaims;
  readonly request: string;
  readonly envelope: string;

  constructor(document: ApprovalRequest, body: Uint8Array | undefined, root: RootClaims) {
    this.account = document.account;
    this.method = document.method;
    this.url = document.url;
    this.headers = document.headers;
    this.contentDigest = document.content_digest;
    this.body = body;
    this.root = root;
    this.request = document.request;
    this.envelope = document.envelope;
  }
}

/** What an approver is shown: see {@link readApprovalRequest}. */
export type ShownApprovalRequest = ShownRequest;

/**
 * Reads what an approver was sent, and computes each hash again: what is shown is what will be signed.
 *
 * Does NOT verify the root block's signature, nor that anybody is active: an API does.
 *
 * @param value the parsed JSON.
 * @throws {Refusal} `approval_request_invalid`.
 */
export function readApprovalRequest(value: unknown): ShownApprovalRequest {
  const document = readDocument(value);
  const body = readBody(document);
  try {
    const { claims } = parseRoot(document.root);
    if (claims.account !== document.account) throw invalid('the root block stands on another trust log');
    requireHashes(document);
    return new ShownRequest(document, body, claims);
  } catch (cause) {
    if (!(cause instanceof Refusal) || cause.code === 'approval_request_invalid') throw cause;
    throw new Refusal('approval_request_invalid', `approval request: ${cause.message}`, { cause });
  }
}

/** How an approval is signed. */
export interface ApprovalOptions {
  /** A key of the approving person, which the log knows. */
  readonly signer: Signer;
  /** Unix time, seconds. */
  readonly now: number;
  /** Seconds until it ends, at most 3600 and never past the envelope's own end. Default 600. */
  readonly lifetimeSeconds?: number;
  /**
   * Sign although the content was withheld: the digest alone says nothing to a person.
   *
   * @deprecated approves what nobody has seen.
   */
  readonly dangerouslyUnseenBody?: boolean;
}

/**
 * Approves one request, once: a compact JWS for the `Bulla-Approval` field.
 *
 * @throws {Refusal} `approval_request_invalid` where the content was withheld or the envelope has ended.
 * @throws {TypeError} for a `now` or a lifetime that cannot be.
 */
export function signApproval(shown: ShownApprovalRequest, options: ApprovalOptions): string {
  if (!(shown instanceof ShownRequest)) throw new TypeError('not from `readApprovalRequest`');
  const { signer, now, lifetimeSeconds = 600 } = options;
  if (!Number.isFinite(now)) throw new TypeError('`now` is not a time');
  if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= limits.maxApprovalLifetimeSeconds)) {
    throw new TypeError('`lifetimeSeconds` is not 1 to 3600');
  }
  // oxlint-disable-next-line typescript/no-deprecated -- the one place that honours the escape hatch
  if (shown.body === undefined && options.dangerouslyUnseenBody !== true) {
    throw invalid('the content was withheld: what nobody has seen is not signed');
  }
  const iat = Math.floor(now);
  const exp = Math.min(iat + Math.floor(lifetimeSeconds), shown.root.exp);
  if (exp <= iat) throw invalid('the envelope has ended');
  const { account, request, envelope } = shown;
  const claims = { account, request, envelope, jti: encodeBase64url(randomBytes(16)), iat, exp };
  return signJws(approvalType, { kid: signer.publicKey.thumbprint }, claims, signer);
}

function readDocument(value: unknown): ApprovalRequest {
  if (!isJsonObject(value)) throw invalid('not an object');
  if (Object.keys(value).some((name) => !members.has(name))) throw invalid('unknown member');
  const { headers, body } = value;
  if (value['version'] !== 1) throw invalid('unknown version');
  if (!isJsonObject(headers)) throw invalid('`headers` is not an object');
  if (body !== undefined && typeof body !== 'string') throw invalid('`body` is not a string');
  return {
    version: 1,
    account: text(value['account'], 'account'),
    method: text(value['method'], 'method'),
    url: canonicalUrl(text(value['url'], 'url')),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, field]) => [name, text(field, 'headers')]),
    ),
    content_digest: text(value['content_digest'], 'content_digest'),
    ...(body !== undefined && { body }),
    root: text(value['root'], 'root'),
    request: text(value['request'], 'request'),
    envelope: text(value['envelope'], 'envelope'),
  };
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalid(`\`${name}\` is not a string`);
  return value;
}

/** One spelling: a URL that is shown in another form than it is hashed in would be another URL to a person. */
function canonicalUrl(given: string): string {
  if (!URL.canParse(given)) throw invalid('`url` is not a URL');
  const url = new URL(given);
  if (url.href !== given || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw invalid('`url` is not in canonical form');
  }
  return given;
}

/** @returns the content, empty where there is none; undefined where it was withheld. */
function readBody(document: ApprovalRequest): Uint8Array | undefined {
  const none = new Uint8Array();
  if (document.body === undefined) return document.content_digest === contentDigest(none) ? none : undefined;
  try {
    return decodeBase64url(document.body);
  } catch (cause) {
    throw new Refusal('approval_request_invalid', '`body` is not base64url', { cause });
  }
}

function requireHashes(document: ApprovalRequest): void {
  const body = readBody(document);
  if (body !== undefined && contentDigest(body) !== document.content_digest) {
    throw invalid('`content_digest` is of other content');
  }
  if (describedHash(document) !== document.request)
    throw invalid('`request` is not the hash of this request');
  if (rootHash(document.root) !== document.envelope) throw invalid('`envelope` is not the hash of `root`');
}
