import type { PublicJwk } from '../keys.ts';
import type { PrincipalRecord, Read } from './records.ts';
import { keyIsLive } from './standing.ts';

/** What the log says about one key now. */
export interface KeyFacts {
  readonly thumbprint: string;
  /** Null where the log has never seen the key. */
  readonly jwk: PublicJwk | null;
  /** `principal/<id>`, `agent/<id>`, `recovery/<id>` (a person's recovery key), `admin`, `delegate` or `log`; null where the log has never seen the key. */
  readonly subject: string | null;
  /** Whose key it is in the end: the person, or the owner of the agent. */
  readonly person: string | null;
  /**
   * Whether it may sign for its person or agent now: not revoked, added by a deed that stands, its subject active with its owner.
   * Always false for recovery keys, and for keys of admins, delegates and the log, which stand and fall otherwise.
   */
  readonly live: boolean;
}

/** What the log says about a person and their keys now. */
export interface PersonKeys {
  readonly principal: string;
  /** `unknown` where the log has no such person. */
  readonly status: PrincipalRecord['status'] | 'unknown';
  /** Who vouched for the first key: the word of a delegate alone is no proof of who holds it. */
  readonly assurance: string;
  /** Every key of this person that is not revoked, by thumbprint, ascending. */
  readonly keys: readonly KeyFacts[];
}

/** What is asked: about one key by its thumbprint, or about all keys of a person (`prn_…`). */
export type KeyQuestion = { readonly key: string } | { readonly principal: string };

/** Looks a key up and everything that its standing rests on. */
export function keyFacts(read: Read, thumbprint: string): KeyFacts {
  const record = read(`key/${thumbprint}`);
  if (record === undefined) return { thumbprint, jwk: null, subject: null, person: null, live: false };
  const { jwk, subject } = record;
  const live = keyIsLive(read, thumbprint);
  return { thumbprint, jwk, subject, person: personOf(read, subject), live };
}

/** Looks a person up with every key that is not revoked. */
export function personKeys(read: Read, principal: string): PersonKeys {
  const record = read(`principal/${principal}`);
  return {
    principal,
    status: record?.status ?? 'unknown',
    assurance: record?.assurance ?? 'none',
    keys: (record?.keys ?? []).map((thumbprint) => keyFacts(read, thumbprint)),
  };
}

function personOf(read: Read, subject: string): string | null {
  if (subject.startsWith('principal/')) return subject.slice('principal/'.length);
  if (subject.startsWith('recovery/')) return subject.slice('recovery/'.length);
  if (!subject.startsWith('agent/')) return null;
  return read(`agent/${subject.slice('agent/'.length)}`)?.owner ?? null;
}
