import { hash } from 'node:crypto';
import { Refusal } from '@bulla/verifier';
import {
  checkOutsideToken,
  checkUnboundToken,
  claimsMatch,
  isIssuedBy,
  type JsonObject,
  type OutsideKey,
  parseOutsideToken,
  type UnverifiedOutsideToken,
} from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { findParty, type Party } from '../mint/party.ts';
import type { RootCredential } from './credential.ts';
import { requireMachineToken, scopeOf } from './machine-token.ts';
import type { ExchangeGrant } from './parameters.ts';
import type { RequestProof } from './proof.ts';
import { requireUnlogged, requireVouched } from './vouched.ts';

/** A trust of the log under which a token holds. */
interface Match {
  readonly name: string;
  readonly record: FederationRecord;
  readonly key: OutsideKey;
  readonly claims: JsonObject;
}

/**
 * A token of an outside issuer that admins trusted in the log (docs/spec/issuer.md section 3.3). As `jwt` or `id_token` it must be
 * bound to the key of the proof, and travels on to the verifier: `key: "federated"`. As `access_token` it is bound to nothing:
 * `key: "vouched"`, and from then on it belongs to the key that came with it first.
 *
 * @throws {IssuerRefusal} `subject_token_refused`, `federation_unknown`, `federation_ambiguous`, `federation_keys_changed`,
 *   `key_set_unavailable`, `client_inactive`, `proof_refused`, `nothing_vouched`.
 * @throws {Refusal} `federation_claims_mismatch`, `federation_not_bound`, `federation_time`, `federation_token_invalid`.
 */
export async function credentialOfOutsideToken(
  account: Account,
  grant: ExchangeGrant,
  proof: RequestProof,
  now: number,
): Promise<RootCredential> {
  const { log, ports } = account;
  const { read } = log;
  const token = parseOutsideToken(grant.subjectToken);
  requireUnlogged(read, proof.key);
  const bound = grant.subjectTokenType !== 'access_token';
  const check = (record: FederationRecord | undefined, jwk: unknown, at: number): JsonObject => {
    const since = record && read(`agent/${record.agent}`)?.resumedAt;
    const subject = { token: grant.subjectToken, jwk, now: at, since };
    return bound
      ? checkOutsideToken(record, { ...subject, account: log.account, jkt: proof.key.thumbprint })
      : checkUnboundToken(record, subject);
  };
  const { name, key, claims, record } = await findTrust(account, token, (candidate, candidateKey) =>
    check(candidate, candidateKey.jwk, now),
  );
  if (grant.clientId !== undefined && grant.clientId !== record.agent) {
    throw new IssuerRefusal(
      'subject_token_refused',
      '`client_id` is not the agent that the token stands for',
    );
  }
  const stand = (): Party => {
    const current = read(`federation/${name}`);
    check(current, key.jwk, Math.floor(ports.now()));
    if (current?.agent !== record.agent) throw unknownFederation();
    const party = findParty(read, record.agent);
    if (bound) return party;
    requireMachineToken(claims, party, proof.key.thumbprint, current.claims);
    return requireVouched(party);
  };
  stand();
  const found = { kind: 'root', clientId: record.agent, useKeys: [], useUntil: 0, stand } as const;
  const { subjectToken } = grant;
  if (bound) {
    const federated = { trust: name, token: subjectToken, jwk: key.jwk };
    return { ...found, holder: { cnf: { jwk: proof.key.jwk }, key: 'federated', federated } };
  }
  const until = Number(claims['exp']);
  return {
    ...found,
    holder: { cnf: { jwk: proof.key.jwk }, key: 'vouched', vouched: { trust: name } },
    tokenScope: scopeOf(claims),
    expiresBy: until,
    // Of what is signed: a second signature over the same claims is no second token.
    tie: { name: `subject/${hash('sha256', token.signingInput, 'base64url')}`, until },
  };
}

/** Trusts that claims may fit. */
const maxCandidates = 16;

/**
 * Finds the trust under which a token holds: in the order of their names the first whose issuer, keys and claims fit. All that fit must
 * stand for one agent.
 *
 * @throws what the only candidate was refused with; `federation_unknown` where there is none, or several and none fits.
 */
async function findTrust(
  account: Account,
  token: UnverifiedOutsideToken,
  check: (record: FederationRecord, key: OutsideKey) => JsonObject,
): Promise<Match> {
  const candidates = candidatesFor(account.log.federations(), token.claims);
  // A claim may be a list, one item of which is enough: strangers would have all trusts tried.
  if (candidates.length > maxCandidates) throw ambiguous();
  const matches: Match[] = [];
  const refusals: unknown[] = [];
  for (const [name, record] of candidates) {
    try {
      const keys = await account.keySets.find(name, record, token.keyId);
      matches.push(matchOf(name, record, keys, check));
    } catch (error) {
      if (!(error instanceof Refusal || error instanceof IssuerRefusal)) throw error;
      refusals.push(error);
    }
  }
  const [match] = matches;
  if (match === undefined) {
    const [only, ...others] = refusals;
    throw only !== undefined && others.length === 0 ? only : unknownFederation();
  }
  if (matches.some(({ record }) => record.agent !== match.record.agent)) {
    throw ambiguous();
  }
  return match;
}

/** A set without `kid` may hold several keys that could have signed. */
function matchOf(
  name: string,
  record: FederationRecord,
  keys: readonly OutsideKey[],
  check: (record: FederationRecord, key: OutsideKey) => JsonObject,
): Match {
  let refusal: unknown = unknownFederation();
  for (const key of keys) {
    try {
      return { name, record, key, claims: check(record, key) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

/** Claims are compared before keys are fetched and tried: one issuer may have a thousand trusts, and anybody may send a token. Hints; `check` says whether it is so. */
function candidatesFor(
  federations: readonly (readonly [string, FederationRecord])[],
  claims: JsonObject,
): readonly (readonly [string, FederationRecord])[] {
  const ofIssuer = federations.filter(([, record]) => isIssuedBy(record, claims));
  return ofIssuer.length > 1 ? ofIssuer.filter(([, record]) => claimsMatch(record.claims, claims)) : ofIssuer;
}

function ambiguous(): IssuerRefusal {
  return new IssuerRefusal(
    'federation_ambiguous',
    'subject token stands for several agents: an admin must say for which',
  );
}

function unknownFederation(): IssuerRefusal {
  return new IssuerRefusal(
    'federation_unknown',
    'no federation of this account fits issuer and claims of the subject token',
  );
}
