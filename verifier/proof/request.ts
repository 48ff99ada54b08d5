import { types } from 'node:util';
import type { WireRequest } from '../access.ts';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import { envelopeDigest } from './content.ts';
import { readTarget } from './target.ts';

/** A request whose form was checked. Nothing in it is verified: envelope and proof are still strings from the wire. */
export interface PresentedRequest {
  readonly method: string;
  /** Canonical path: raw bytes, percent-hex in upper case. */
  readonly path: string;
  /** Raw query without `?`; empty where there is none. */
  readonly query: string;
  /** The public origins this request may be for: those that its Host belongs to, or all where it has no Host. */
  readonly origins: readonly string[];
  readonly envelope: string;
  /** {@link envelopeDigest} of it: what `ath` must say, and the key of the signature cache. */
  readonly envelopeDigest: string;
  readonly proof: string;
  /** The approvals that came along, each a text of at most `maxApprovalsBytes`; at most `maxApprovals`. */
  readonly approvals: readonly string[];
  readonly body: Uint8Array;
  /** The value of a field (name in lower case). @throws {Refusal} `request_field_repeated` where it was sent twice. */
  readonly header: (name: string) => string | undefined;
}

/** Answers, for a Host field, which configured public origins it belongs to. */
export type PublicOrigins = ReadonlyMap<string, readonly string[]> & { readonly all: readonly string[] };

const methodToken = /^[A-Z][A-Z-]{0,31}$/u;
const scheme = /^dpop +/iu;
const envelopeBytes = /^[A-Za-z0-9\-._~]+$/u;
const single = new Set([
  'authorization',
  'dpop',
  'host',
  'content-type',
  'content-encoding',
  'content-digest',
  'content-length',
  'transfer-encoding',
]);
const refused = ['upgrade', 'trailer', 'proxy-authorization'];
const overrides = ['x-http-method-override', 'x-http-method', 'x-method-override'];

/**
 * Prepares the configured public origins (`https://api.example`), which alone say where this API is: Host, Forwarded
 * and X-Forwarded-* are never believed.
 *
 * @throws {TypeError} for an empty list or an origin that is not `scheme://host[:port]` in canonical form (http or https).
 */
export function createPublicOrigins(origins: readonly string[]): PublicOrigins {
  if (origins.length === 0) throw new TypeError('`publicOrigins` is empty');
  const byHost = new Map<string, string[]>();
  for (const origin of origins) {
    const url = URL.canParse(origin) ? new URL(origin) : undefined;
    if (url === undefined || url.origin !== origin || !/^https?:$/u.test(url.protocol)) {
      throw new TypeError(`\`publicOrigins\`: \`${origin}\` is not a canonical http(s) origin`);
    }
    const defaultPort = url.protocol === 'https:' ? '443' : '80';
    for (const host of url.port === '' ? [url.host, `${url.host}:${defaultPort}`] : [url.host]) {
      byHost.set(host, [...(byHost.get(host) ?? []), origin]);
    }
  }
  return Object.assign(byHost, { all: [...origins] });
}

/** What a request says without envelope and proof: the part that a route anyone may call is read by, too. */
export type PlainRequest = Pick<PresentedRequest, 'method' | 'path' | 'query' | 'origins' | 'header'>;

/**
 * Reads the request as it stood on the wire: refuses what two readers could read differently, normalises nothing.
 * Does NOT verify envelope, proof or approvals, and does not look at the content.
 *
 * @throws {Refusal} `request_method_refused`, `request_target_invalid`, `request_field_repeated`, `request_field_refused`,
 *   `request_host_wrong`, `request_encoding_refused`, `authorization_malformed`, `envelope_missing`, `envelope_too_large`,
 *   `proof_missing`, `proof_too_large`, `approvals_too_large`.
 */
export function readRequest(
  wire: WireRequest,
  publicOrigins: PublicOrigins,
  maxEnvelopeBytes: number = limits.maxEnvelopeBytes,
): PresentedRequest {
  // Anything else has another `length`, or none, and would pass for a request without content.
  if (!types.isUint8Array(wire.body)) throw new TypeError('`body` is not a Uint8Array');
  const plain = readPlainRequest(wire, publicOrigins);
  const envelope = readEnvelope(plain.header('authorization'), maxEnvelopeBytes);
  return {
    ...plain,
    envelope,
    envelopeDigest: envelopeDigest(envelope),
    proof: readProof(plain.header('dpop')),
    approvals: readApprovals(plain.header('bulla-approval')),
    body: wire.body,
  };
}

/**
 * {@link readRequest} of a request that needs no capability: one method, one target, one value for each field that matters, a
 * host of this API. Looks for neither envelope nor proof, and not at the content.
 *
 * @throws {Refusal} `request_method_refused`, `request_target_invalid`, `request_field_repeated`, `request_field_refused`,
 *   `request_host_wrong`, `request_encoding_refused`.
 */
export function readPlainRequest(
  wire: Omit<WireRequest, 'body'>,
  publicOrigins: PublicOrigins,
): PlainRequest {
  if (!methodToken.test(wire.method) || wire.method === 'CONNECT') {
    throw new Refusal('request_method_refused', 'method is not acceptable');
  }
  const fields = readFields(wire.headers);
  const { path, query } = readTarget(wire.target);
  return {
    method: wire.method,
    path,
    query,
    origins: originsFor(fields.get('host'), publicOrigins),
    header: (name) => {
      const value = fields.get(name);
      // The name may be the caller's (`htb`), and is not for messages; those we name ourselves were refused above.
      if (value === repeated)
        throw new Refusal('request_field_repeated', 'field that must be single is repeated');
      return value;
    },
  };
}

/** Stands for a field sent more than once: a control character, so no field can have this value. */
const repeated = '\u0000';

function readFields(headers: WireRequest['headers']): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [rawName, value] of headers) {
    const name = rawName.toLowerCase();
    if (!fields.has(name)) fields.set(name, value);
    else if (single.has(name)) throw new Refusal('request_field_repeated', `\`${name}\` is repeated`);
    else fields.set(name, repeated);
  }
  for (const name of refused) {
    if (fields.has(name)) throw new Refusal('request_field_refused', `\`${name}\` is not acceptable here`);
  }
  for (const name of overrides) {
    if (fields.has(name)) throw new Refusal('request_method_refused', 'method is overridden by a field');
  }
  const encoding = fields.get('content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('request_encoding_refused', 'content is encoded');
  }
  return fields;
}

function originsFor(host: string | undefined, publicOrigins: PublicOrigins): readonly string[] {
  if (host === undefined) return publicOrigins.all;
  const origins = publicOrigins.get(host) ?? publicOrigins.get(host.toLowerCase());
  if (origins === undefined)
    throw new Refusal('request_host_wrong', 'host is not a public origin of this API');
  return origins;
}

function readEnvelope(value: string | undefined, maxBytes: number): string {
  if (value === undefined) throw new Refusal('envelope_missing', 'no envelope');
  if (value.length > maxBytes + 16) throw new Refusal('envelope_too_large', 'envelope is too large');
  const envelope = value.replace(scheme, '');
  if (envelope.length === value.length || !envelopeBytes.test(envelope)) {
    throw new Refusal('authorization_malformed', '`authorization` is not `DPoP` and one envelope');
  }
  if (envelope.length > maxBytes) throw new Refusal('envelope_too_large', 'envelope is too large');
  return envelope;
}

function readProof(value: string | undefined): string {
  if (value === undefined) throw new Refusal('proof_missing', 'no proof');
  if (value.length > limits.maxProofBytes) throw new Refusal('proof_too_large', 'proof is too large');
  // Node joins repeated fields with a comma before some frameworks see them.
  if (value.includes(',')) throw new Refusal('request_field_repeated', '`dpop` holds a list');
  return value;
}

/** The field is a list: where Node has joined a repeated one with a comma, nothing can be told from that. */
function readApprovals(value: string | undefined): readonly string[] {
  if (value === undefined) return noApprovals;
  if (value.length > limits.maxApprovalsBytes) {
    throw new Refusal('approvals_too_large', 'approvals are too large');
  }
  const approvals = value.split(',').map((text) => text.trim());
  if (approvals.length > limits.maxApprovals) throw new Refusal('approvals_too_large', 'too many approvals');
  return approvals;
}

const noApprovals: readonly string[] = [];
