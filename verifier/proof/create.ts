import { randomBytes } from 'node:crypto';
import { encodeBase64url } from '../base64url.ts';
import { signJws } from '../envelope/jws.ts';
import type { Json } from '../json.ts';
import type { Signer } from '../keys.ts';
import { contentDigest, envelopeDigest, queryDigest } from './content.ts';
import { readTarget } from './target.ts';

/** One request as it will be sent, and who proves it. */
export interface ProofRequest {
  readonly method: string;
  /** Absolute URL as it will be sent; a fragment is ignored. */
  readonly url: string | URL;
  /** The content as it will be sent. */
  readonly body?: Uint8Array | string;
  /**
   * Header fields to bind, each with the exact value that will be sent: `content-type` whenever there is a body, and those the
   * API demands. Not the whole set: a field that a proxy adds or changes breaks the proof.
   */
  readonly headers?: Readonly<Record<string, string>>;
  /** Absent only where the proof asks for an envelope (token endpoint). */
  readonly envelope?: string;
  readonly signer: Signer;
  /** Unix time, seconds. */
  readonly now: number;
  /** The last `DPoP-Nonce` of this server. */
  readonly nonce?: string;
  /** Write RFC 9449's claims only: for servers that do not know Bulla's, such as a token endpoint. */
  readonly plain?: boolean;
}

/**
 * Makes a proof for one request: the value of the `DPoP` field. Each proof works once; a retry or redirect needs a new one.
 *
 * @throws {Refusal} `request_target_invalid` for a URL that no guarded route would accept.
 * @throws {TypeError} for a `url` that is none, and a `now` that is no number.
 */
export function createProof(request: ProofRequest): string {
  if (!Number.isFinite(request.now)) throw new TypeError('`now` is not a time');
  const url = new URL(request.url);
  const { path, query } = readTarget(url.pathname + url.search);
  const claims: Record<string, Json> = {
    jti: encodeBase64url(randomBytes(16)),
    htm: request.method,
    htu: url.origin + path,
    iat: Math.floor(request.now),
  };
  if (request.envelope !== undefined) claims['ath'] = envelopeDigest(request.envelope);
  if (request.nonce !== undefined) claims['nonce'] = request.nonce;
  if (request.plain !== true) Object.assign(claims, bindRequest(request, query));
  return signJws('dpop+jwt', { jwk: { ...request.signer.publicKey.jwk } }, claims, request.signer);
}

function bindRequest(request: ProofRequest, query: string): Record<string, Json> {
  const claims: Record<string, Json> = {};
  if (query !== '') claims['htq'] = queryDigest(query);
  const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body;
  if (body !== undefined && body.length > 0) claims['content_digest'] = contentDigest(body);
  const headers = Object.entries(request.headers ?? {});
  if (headers.length > 0) {
    claims['htb'] = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value.trim()]));
  }
  return claims;
}
