import { encodeBase64url } from '../base64url.ts';
import { parseRoot } from '../envelope/root.ts';
import { contentDigest, queryDigest } from '../proof/content.ts';
import { readTarget } from '../proof/target.ts';
import { requestHash, rootHash, rootOf } from './hashes.ts';

/** One request as it will be sent, for which approvals are wanted. */
export interface RequestForApproval {
  readonly method: string;
  /** Absolute URL as it will be sent; a fragment is ignored. */
  readonly url: string | URL;
  readonly body?: Uint8Array | string | undefined;
  /** Exactly the header fields that the proof will bind; `content-type` counts only where there is a body. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The envelope that will be spent. Approvals are for its root block: narrowing it further changes nothing. */
  readonly envelope: string;
  /** Leave the content out, so that approvers see its digest only; most will then not sign. */
  readonly withholdBody?: boolean;
}

/** What approvers are sent: a JSON document. It holds the root block of the envelope, which nobody but its holder can spend. */
export interface ApprovalRequest {
  readonly version: 1;
  readonly account: string;
  readonly method: string;
  /** Origin, canonical path and query. */
  readonly url: string;
  /** Fields that the proof will bind, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly content_digest: string;
  /** The content, base64url; absent where there is none or it is withheld. */
  readonly body?: string;
  /** Root block of the envelope, compact. */
  readonly root: string;
  /** Hash of the request, which an approval repeats. */
  readonly request: string;
  /** Hash of `root`, which an approval repeats. */
  readonly envelope: string;
}

/**
 * Describes a request to those who shall approve it. Signs nothing.
 *
 * @throws {Refusal} `request_target_invalid` for a URL that no guarded route would accept, and the codes of a malformed envelope.
 * @throws {TypeError} for a `url` that is none.
 */
export function approvalRequest(given: RequestForApproval): ApprovalRequest {
  const { claims } = parseRoot(rootOf(given.envelope));
  const body = typeof given.body === 'string' ? Buffer.from(given.body) : (given.body ?? new Uint8Array());
  const headers = Object.entries(given.headers ?? {})
    .map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
    .filter(([name]) => name !== 'content-type' || body.length > 0);
  const url = new URL(given.url);
  const { path, query } = readTarget(url.pathname + url.search);
  const described = {
    method: given.method,
    url: url.origin + path + (query === '' ? '' : `?${query}`),
    headers: Object.fromEntries(headers),
    content_digest: contentDigest(body),
  };
  return {
    version: 1,
    account: claims.account,
    ...described,
    ...(body.length > 0 && given.withholdBody !== true && { body: encodeBase64url(Buffer.from(body)) }),
    root: rootOf(given.envelope),
    request: describedHash(described),
    envelope: rootHash(given.envelope),
  };
}

type Described = Pick<ApprovalRequest, 'method' | 'url' | 'headers' | 'content_digest'>;

/** An approval's `request`, of what approvers are told. */
export function describedHash({ method, url, headers, content_digest }: Described): string {
  const { origin, pathname, search } = new URL(url);
  const { 'content-type': type, ...bound } = headers;
  return requestHash({
    htm: method,
    htu: origin + readTarget(pathname).path,
    htq: queryDigest(search.slice(1)),
    content_digest,
    ...(type !== undefined && { content_type: type }),
    ...(Object.keys(bound).length > 0 && { htb: bound }),
  });
}
