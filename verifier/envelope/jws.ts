import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import { canonicalJson, type JsonObject, parseJsonObject } from '../json.ts';
import type { PublicKey, Signer } from '../keys.ts';

/** A JWS (RFC 7515, compact) that was parsed strictly. Nothing about it is verified yet. */
export interface UnverifiedJws {
  readonly compact: string;
  readonly header: JsonObject;
  readonly payload: JsonObject;
  /** The ASCII bytes under the signature. */
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/** What a JWS of one kind must look like: its exact `typ`, and the header members beside `alg` and `typ`. */
export interface JwsProfile {
  readonly typ: string;
  readonly members: readonly string[];
  /** Members that may be there beside them. */
  readonly optional?: readonly string[];
}

/**
 * Parses a compact JWS strictly: three non-empty canonical base64url parts, strict JSON objects, exact `typ`,
 * exactly the header members of the profile. `crit`, `jku`, `x5u` and every other unknown member are refused.
 * The caller bounds the size. Does NOT verify the signature.
 *
 * @throws {Refusal} `jws_malformed`, `jws_header_invalid`, `jws_type_wrong`, `encoding_invalid`, `json_invalid`.
 */
export function parseJws(compact: string, profile: JwsProfile): UnverifiedJws {
  const first = compact.indexOf('.');
  const second = compact.indexOf('.', first + 1);
  if (
    first < 1 ||
    second <= first + 1 ||
    second === compact.length - 1 ||
    compact.includes('.', second + 1)
  ) {
    throw new Refusal('jws_malformed', 'not three non-empty parts');
  }
  const header = parseHeader(compact.slice(0, first));
  requireHeader(header, profile);
  return {
    compact,
    header,
    payload: parseJsonObject(decodeBase64url(compact.slice(first + 1, second))),
    signingInput: Buffer.from(compact.slice(0, second), 'latin1'),
    signature: decodeBase64url(compact.slice(second + 1)),
  };
}

/** One key's proofs, and one mint's roots, all start with the same bytes: parsed once. Pure, so nothing can go stale. */
function parseHeader(text: string): JsonObject {
  const known = parsedHeaders.get(text);
  if (known !== undefined) return known;
  const header = parseJsonObject(decodeBase64url(text));
  if (text.length <= maxKeptHeaderLength) {
    if (parsedHeaders.size >= keptHeaders) parsedHeaders.clear();
    parsedHeaders.set(text, header);
  }
  return header;
}

const parsedHeaders = new Map<string, JsonObject>();
const keptHeaders = 4096;
const maxKeptHeaderLength = 512;

function requireHeader(header: JsonObject, profile: JwsProfile): void {
  if (header['typ'] !== profile.typ) throw new Refusal('jws_type_wrong', `\`typ\` is not \`${profile.typ}\``);
  if (typeof header['alg'] !== 'string') throw new Refusal('jws_header_invalid', 'no `alg`');
  for (const member of profile.members) {
    if (!(member in header)) throw new Refusal('jws_header_invalid', `no \`${member}\` in the header`);
  }
  const optional = profile.optional?.filter((member) => Object.hasOwn(header, member)).length ?? 0;
  if (Object.keys(header).length !== profile.members.length + optional + 2) {
    throw new Refusal('jws_header_invalid', 'unknown header member');
  }
}

/**
 * Verifies the signature. The key decides which `alg` is acceptable.
 *
 * @throws {Refusal} `jws_algorithm_wrong`, `jws_signature_invalid`.
 */
export function verifyJws(jws: UnverifiedJws, key: PublicKey): void {
  if (!key.algorithms.includes(jws.header['alg'] as string)) {
    throw new Refusal('jws_algorithm_wrong', '`alg` does not belong to the key');
  }
  if (!key.verify(jws.signingInput, jws.signature)) {
    throw new Refusal('jws_signature_invalid', 'signature does not verify');
  }
}

/** Signs `payload` as a compact JWS with header `{ alg, typ, ...members }`. */
export function signJws(typ: string, members: JsonObject, payload: JsonObject, signer: Signer): string {
  const header = { alg: signer.algorithm, typ, ...members };
  const input = `${encodeBase64url(Buffer.from(canonicalJson(header)))}.${encodeBase64url(Buffer.from(canonicalJson(payload)))}`;
  return `${input}.${encodeBase64url(signer.sign(Buffer.from(input, 'latin1')))}`;
}
