import { Refusal } from '../errors.ts';
import { type OutsideJwk, readOutsideJwk } from '../federation/key.ts';
import { type PublicJwk, type PublicKey, parsePublicJwk } from '../keys.ts';
import { limits } from '../limits.ts';
import type { Claims } from './claims.ts';

/**
 * How the first holder's key is known. `logged`: the trust log says whose it is. `federated`: an outside token, carried
 * along, is bound to it. `vouched`: the mint says so and nobody else.
 */
export type KeyKind = 'logged' | 'federated' | 'vouched';

/** Claims of the root about its first holder. */
export interface HolderClaims {
  /** `logged`: the thumbprint of a key in the log. Else the whole key, which is in no log. */
  readonly cnf: { readonly jkt: string } | { readonly jwk: PublicJwk };
  readonly key: KeyKind;
  /** Present exactly with `federated`: name of the trust in the log, the outside token, the key that signed it. */
  readonly federated?: { readonly trust: string; readonly token: string; readonly jwk: OutsideJwk };
  /** With `vouched` only: the trust in the log under which an outside token was exchanged. */
  readonly vouched?: { readonly trust?: string };
}

/** Thumbprint of the first holder's key, whatever kind of root it is. @throws {Refusal} `key_invalid`, `encoding_invalid`. */
export function holderOf({ cnf }: HolderClaims): string {
  return 'jkt' in cnf ? cnf.jkt : parsePublicJwk(cnf.jwk).thumbprint;
}

interface Holding {
  readonly claims: HolderClaims;
  readonly holder: PublicKey | undefined;
}

const kinds: readonly string[] = ['logged', 'federated', 'vouched'] satisfies readonly KeyKind[];
const trustName = /^[a-z0-9][a-z0-9_-]{0,62}$/u;

const invalid = (message: string): Refusal => new Refusal('envelope_claim_invalid', message);

/**
 * Reads the claims about the first holder. Does NOT verify the outside token.
 *
 * @throws {Refusal} `envelope_claim_invalid`, `key_invalid`, `encoding_invalid`.
 */
export function readHolder(reader: Claims): Holding {
  const key = reader.string('key');
  if (!isKind(key)) throw invalid('`key` is not a kind this version accepts');
  const confirmation = reader.object('cnf');
  const holder = key === 'logged' ? undefined : parsePublicJwk(confirmation.raw('jwk'));
  const cnf = holder === undefined ? { jkt: confirmation.string('jkt', 43) } : { jwk: holder.jwk };
  confirmation.finish();
  return {
    claims: {
      cnf,
      key,
      ...(reader.has('federated') && { federated: readFederated(reader.object('federated')) }),
      ...(reader.has('vouched') && { vouched: readVouched(reader.object('vouched')) }),
    },
    holder,
  };
}

/** @throws {Refusal} `envelope_claim_invalid` where claims do not go with the kind of key. */
export function requireHolder(claims: HolderClaims & { readonly client_id?: string }): void {
  const { key, federated, vouched } = claims;
  if ((key === 'federated') !== (federated !== undefined)) {
    throw invalid('`federated` goes with `key`: `federated`');
  }
  if (vouched !== undefined && key !== 'vouched') throw invalid('`vouched` goes with `key`: `vouched`');
  if (key !== 'logged' && claims.client_id === undefined) {
    throw invalid('a person acts with a key in the log alone');
  }
}

function isKind(word: string): word is KeyKind {
  return kinds.includes(word);
}

function readFederated(reader: Claims): NonNullable<HolderClaims['federated']> {
  const federated = {
    trust: readTrust(reader),
    token: reader.string('token', limits.maxOutsideTokenBytes),
    jwk: readOutsideJwk(reader.raw('jwk')),
  };
  reader.finish();
  return federated;
}

function readVouched(reader: Claims): NonNullable<HolderClaims['vouched']> {
  const vouched = reader.has('trust') ? { trust: readTrust(reader) } : {};
  reader.finish();
  return vouched;
}

function readTrust(reader: Claims): string {
  const name = reader.string('trust', 63);
  if (!trustName.test(name)) throw invalid('`trust` is not a name');
  return name;
}
