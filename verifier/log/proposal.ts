import { verifyJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import { type PublicKey, parsePublicJwk } from '../keys.ts';
import type { Lease } from './operations.ts';
import type { AgentRecord, PrincipalRecord, Read, Records } from './records.ts';
import type { UnverifiedSignature, UnverifiedStatement } from './signed.ts';

/** Who wants the operation, with what standing. The standing was checked before a rule sees it. */
export type Actor =
  | { readonly rank: 'admin' }
  | { readonly rank: 'delegate'; readonly key: string; readonly lease: Lease }
  /**
   * By a request: the key, and whose it is: `principal/<id>`, `agent/<id>`, `recovery/<principal id>`, or `new` for the key that
   * the request itself brings in. `lent`: the lease of whoever wrapped it; null where an admin did.
   */
  | {
      readonly rank: 'owner';
      readonly key: string;
      readonly subject: string;
      readonly lent: Lease | null;
    };

/**
 * What a rule works on: the state as it would be, who asks, and where in the log. Nothing written here reaches the
 * state unless the whole entry is accepted.
 */
export class Proposal {
  readonly account: string;
  readonly seq: number;
  /** Entry time, Unix seconds. */
  readonly time: number;
  readonly leaf: string;
  readonly actor: Actor;
  readonly #statement: UnverifiedStatement;
  readonly #base: Read;
  readonly #writes = new Map<string, Records[keyof Records]>();
  /** Thumbprints whose signature was verified and had a purpose. */
  readonly #claimed = new Set<string>();

  constructor(
    at: { readonly account: string; readonly seq: number; readonly time: number; readonly leaf: string },
    base: Read,
    statement: UnverifiedStatement,
    actor: Actor,
  ) {
    this.account = at.account;
    this.seq = at.seq;
    this.time = at.time;
    this.leaf = at.leaf;
    this.actor = actor;
    this.#base = base;
    this.#statement = statement;
  }

  readonly read: Read = (key) => {
    type Found = Records[typeof key] | undefined;
    return (this.#writes.get(key) as Found) ?? this.#base(key);
  };

  get writes(): ReadonlyMap<string, Records[keyof Records]> {
    return this.#writes;
  }

  put<K extends keyof Records>(key: K, record: Records[K]): void {
    this.#writes.set(key, record);
  }

  putPrincipal(id: string, before: PrincipalRecord, change: Partial<PrincipalRecord>): void {
    this.put(`principal/${id}`, { ...before, ...change, version: before.version + 1 });
  }

  putAgent(id: string, before: AgentRecord, change: Partial<AgentRecord>): void {
    this.put(`agent/${id}`, { ...before, ...change, version: before.version + 1 });
  }

  /** The key that asks, where it is in the log and a person's or an agent's. */
  get askingKey(): string | null {
    return this.actor.rank === 'owner' && this.actor.subject !== 'new' ? this.actor.key : null;
  }

  /** Every signature of the statement that holds the operation, the primary first. None is verified yet. */
  get signatures(): readonly UnverifiedSignature[] {
    return [this.#statement.primary, ...this.#statement.further];
  }

  /** Verifies the signature of a key that has a right to sign here. */
  claim(signature: UnverifiedSignature, key: PublicKey): void {
    verifyJws(signature.jws, key);
    this.#claimed.add(signature.thumbprint);
  }

  /**
   * Lets a key into the log: once in its life, signed by itself, for one subject for ever.
   *
   * @returns its thumbprint.
   * @throws {Refusal} `key_invalid`, `rule_key_known`, `rule_possession_unproven`, `jws_signature_invalid`, `jws_algorithm_wrong`.
   */
  enterKey(jwk: unknown, subject: string): string {
    const key = parsePublicJwk(jwk);
    const { thumbprint } = key;
    if (this.read(`key/${thumbprint}`) !== undefined) {
      throw new Refusal('rule_key_known', 'key has been in the log before');
    }
    const { primary, further } = this.#statement;
    const signature = [primary, ...further].find((candidate) => candidate.thumbprint === thumbprint);
    if (signature === undefined) {
      throw new Refusal('rule_possession_unproven', 'new key has not signed');
    }
    this.claim(signature, key);
    this.put(`key/${thumbprint}`, {
      jwk: key.jwk,
      subject,
      status: 'active',
      addedBy: this.askingKey,
      addedSeq: this.seq,
      revokedSince: null,
    });
    return thumbprint;
  }

  /** @throws {Refusal} `rule_signature_unneeded`: one set of facts has one spelling. */
  requireAllClaimed(): void {
    const { primary, further } = this.#statement;
    for (const { thumbprint } of [primary, ...further]) {
      if (!this.#claimed.has(thumbprint)) {
        throw new Refusal('rule_signature_unneeded', 'a signature has no part in this operation');
      }
    }
  }
}
