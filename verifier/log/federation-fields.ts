import { isJsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import { type Field, malformed, text } from './fields.ts';
import type { ClaimDemand } from './operations.ts';

/** Name of a trust in an outside issuer. */
export const federationName: Field<string> = text(/^[a-z0-9][a-z0-9_-]{0,62}$/u);

/** `iss` as tokens say it, or a SPIFFE trust domain. Compared as text: no two spellings are the same. */
export const outsideIssuer: Field<string> = text(
  /^(?:https?:\/\/[A-Za-z0-9.:[\]-]{1,255}(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255})?|spiffe:\/\/[a-z0-9._-]{1,255})$/u,
);

/** `iss` of an IdP that people log in at. */
export const webIssuer: Field<string> = text(
  /^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,255})?$/u,
);

/** Starts with a letter: `__proto__` is no claim. Auth0 names claims of an account's own by URL. */
const claimName = /^[A-Za-z][A-Za-z0-9_.:/-]{0,127}$/u;
const demanded = text(/^[^\p{C}]{1,512}$/u);

/** Claims that have a meaning of their own: who, for whom and when is checked by the profile. */
const ownMeaning: ReadonlySet<string> = new Set(['iss', 'aud', 'exp', 'iat', 'nbf', 'nonce']);

/** 1 to `maxClaimDemands` claims. A wildcard is spelled out as `{ like }` and says at least one character. */
export const claimDemands: Field<Readonly<Record<string, ClaimDemand>>> = (value) => {
  if (!isJsonObject(value)) throw malformed('not an object');
  const names = Object.keys(value);
  if (names.length === 0 || names.length > limits.maxClaimDemands) {
    throw malformed(`not 1 to ${limits.maxClaimDemands} claims`);
  }
  const demands: [string, ClaimDemand][] = names.map((name) => {
    if (!claimName.test(name) || ownMeaning.has(name)) throw malformed('a claim has no name to be demanded');
    const demand = value[name];
    if (!isJsonObject(demand)) return [name, demanded(demand ?? null)];
    const { like, ...unknown } = demand;
    if (Object.keys(unknown).length > 0) throw malformed('unknown member');
    const pattern = demanded(like ?? null);
    if (/^\*+$/u.test(pattern)) throw malformed('`like` demands nothing');
    return [name, { like: pattern }];
  });
  return Object.fromEntries(demands);
};
