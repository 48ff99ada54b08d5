import { Refusal } from '@bulla/verifier';
import {
  decodeBase64url,
  isJsonObject,
  type JsonObject,
  type OutsideKey,
  parseForeignJsonObject,
} from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';

/** A security event token (RFC 8417) whose form is acceptable. Its signature is not verified: nothing in it is to be believed. */
export interface UnverifiedSet {
  readonly keyId: string | undefined;
  readonly algorithm: string;
  readonly claims: JsonObject;
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/** What a SET says, once signature, issuer, audience and age were found right. */
export interface SecurityEvent {
  readonly jti: string;
  /** Unix seconds. */
  readonly issuedAt: number;
  /** When it happened as far as the SET says, Unix seconds: what the order of events goes by. */
  readonly happenedAt: number;
  readonly subject: JsonObject;
  /** Type URI -> payload, in the order of the SET. */
  readonly events: readonly (readonly [uri: string, payload: JsonObject])[];
}

export interface SetDemands {
  readonly issuer: string;
  readonly audience: string;
  readonly maxAgeSeconds: number;
  /** Unix seconds. */
  readonly now: number;
}

export const maxSetBytes = 16_384;
const maxEvents = 8;
const maxJtiLength = 256;
/** How far a transmitter's clock may be ahead of ours. */
const skewSeconds = 60;
/** Event times above this are milliseconds: older transmitters send them. */
const firstMillisecond = 100_000_000_000;
/** Members by which a header would choose the key or the meaning. */
const refusedMembers = ['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'zip', 'enc', 'cty'];

const malformed = (message: string, cause?: unknown): IssuerRefusal =>
  new IssuerRefusal('set_malformed', message, cause === undefined ? undefined : { cause });

/**
 * Parses a SET: compact JWS of at most `maxSetBytes`, `typ: secevent+jwt`, canonical base64url, UTF-8, no repeated member.
 * Further header members and claims are let through, save those by which a header would choose its key.
 *
 * Does NOT verify the signature. Encrypted SETs are refused.
 *
 * @throws {IssuerRefusal} `set_malformed`.
 */
export function parseSet(compact: string): UnverifiedSet {
  if (compact.length > maxSetBytes) throw malformed(`SET is over ${maxSetBytes} bytes`);
  const [header = '', payload = '', signature = '', ...more] = compact.split('.', 4);
  if (more.length > 0 || header === '' || payload === '' || signature === '') {
    throw malformed('SET is not three non-empty parts');
  }
  try {
    const { alg, typ, kid, ...rest } = parseForeignJsonObject(decodeBase64url(header));
    if (refusedMembers.some((member) => Object.hasOwn(rest, member))) {
      throw malformed('header of the SET has a member that is refused');
    }
    if (typeof typ !== 'string' || !/^(?:application\/)?secevent\+jwt$/iu.test(typ)) {
      throw malformed('`typ` of the SET is not `secevent+jwt`');
    }
    if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) {
      throw malformed('header of the SET has no `alg`, or an odd `kid`');
    }
    return {
      keyId: kid,
      algorithm: alg,
      claims: parseForeignJsonObject(decodeBase64url(payload)),
      signingInput: Buffer.from(`${header}.${payload}`, 'latin1'),
      signature: decodeBase64url(signature),
    };
  } catch (error) {
    if (error instanceof Refusal) throw malformed('SET is not strict base64url and JSON', error);
    throw error;
  }
}

/**
 * Verifies the signature with the first of `keys` that fits. The key decides which `alg` is acceptable: an HMAC or `none` never is.
 *
 * Does NOT check any claim, nor whose keys they are.
 *
 * @throws {IssuerRefusal} `set_key_wrong`.
 */
export function verifySet(set: UnverifiedSet, keys: readonly OutsideKey[]): void {
  const fits = keys.some(
    (key) =>
      key.algorithms.includes(set.algorithm) && key.verify(set.algorithm, set.signingInput, set.signature),
  );
  if (!fits) throw new IssuerRefusal('set_key_wrong', 'SET is not signed by a key of the transmitter');
}

/**
 * Reads the claims of a SET whose signature was verified: `iss`, `aud`, `jti`, `iat` within `maxAgeSeconds`, `sub_id`, `events`.
 * `exp` and `sub` make it look like a token that lets somebody in, so they are refused (RFC 8417 section 4.6, SSF 1.0 section 4.1.6).
 *
 * Does NOT check whether `jti` was seen before, nor whom `sub_id` means.
 *
 * @throws {IssuerRefusal} `set_issuer_wrong`, `set_audience_wrong`, `set_too_old`, `set_malformed`.
 */
export function readSet(claims: JsonObject, demands: SetDemands): SecurityEvent {
  const { iss, aud, jti, iat, toe, sub_id: subject, events } = claims;
  if (iss !== demands.issuer)
    throw new IssuerRefusal('set_issuer_wrong', '`iss` is not the issuer of the stream');
  if (!(Array.isArray(aud) ? aud : [aud]).includes(demands.audience)) {
    throw new IssuerRefusal('set_audience_wrong', '`aud` does not name the audience of the stream');
  }
  if (Object.hasOwn(claims, 'exp') || Object.hasOwn(claims, 'sub')) {
    throw malformed('SET has `exp` or `sub`');
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJtiLength)
    throw malformed('SET has no usable `jti`');
  if (!isJsonObject(subject)) throw malformed('SET has no `sub_id`');
  const issuedAt = readTime(iat, demands.now);
  if (issuedAt === undefined) throw malformed('SET has no `iat`, or one in the future');
  if (issuedAt < demands.now - demands.maxAgeSeconds) {
    throw new IssuerRefusal('set_too_old', 'SET is older than the stream allows');
  }
  const listed = readEvents(events);
  const stated = listed.map(([, payload]) => payload['event_timestamp']).find((time) => time !== undefined);
  const happened = stated ?? toe;
  const happenedAt = happened === undefined ? issuedAt : readTime(happened, demands.now);
  // One that lies ahead would make every later event look old.
  if (happenedAt === undefined) throw malformed('time of the event is none, or in the future');
  return { jti, issuedAt, happenedAt, subject, events: listed };
}

function readEvents(events: unknown): readonly (readonly [string, JsonObject])[] {
  if (!isJsonObject(events)) throw malformed('SET has no `events`');
  const listed = Object.entries(events).map(([uri, payload]) => {
    if (!isJsonObject(payload)) throw malformed('payload of an event is not an object');
    return [uri, payload] as const;
  });
  if (listed.length === 0 || listed.length > maxEvents)
    throw malformed(`SET has no event, or over ${maxEvents}`);
  return listed;
}

/** Unix seconds; undefined for what is no time, or lies ahead. */
function readTime(value: unknown, now: number): number | undefined {
  if (typeof value !== 'number' || value <= 0) return undefined;
  const seconds = value >= firstMillisecond ? value / 1000 : value;
  return seconds <= now + skewSeconds ? seconds : undefined;
}
