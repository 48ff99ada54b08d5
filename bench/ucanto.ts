import { Delegation } from '@ucanto/core';
import { Verifier } from '@ucanto/principal';
import * as ed25519 from '@ucanto/principal/ed25519';
import { access, capability, DID, Failure, Schema } from '@ucanto/validator';
import type { Call } from './rounds.ts';

const documentRead = capability({
  can: 'document/read',
  with: DID.match({}),
  nb: Schema.struct({ folder: Schema.string() }),
  derives: (claim, proof) => {
    if (claim.with !== proof.with) return { error: new Failure('another owner') };
    return claim.nb.folder === proof.nb.folder ? { ok: {} } : { error: new Failure('another folder') };
  },
});

/** From the owner through this many further hands, each repeating the one limit (folder). */
export interface UcantoChain {
  /** New delegations and a new invocation each time, read from bytes (CAR). */
  cold(count: number): Promise<readonly Call[]>;
  /** The same delegations each time, as objects; a new invocation. */
  warm(count: number): Promise<readonly Call[]>;
}

export async function createUcantoChain(blocks: number): Promise<UcantoChain> {
  const service = await ed25519.generate();
  const owner = await ed25519.generate();
  const holders = await Promise.all(Array.from({ length: blocks + 1 }, () => ed25519.generate()));
  let serial = 0;
  const about = () => {
    serial += 1;
    const expiration = Math.floor(Date.now() / 1000) + 3600;
    return { with: owner.did(), nb: { folder: 'f1' }, expiration, nonce: String(serial) };
  };
  const delegate = async () => {
    let issuer = owner;
    let last: Awaited<ReturnType<typeof documentRead.delegate>> | undefined;
    for (const audience of holders) {
      last = await documentRead.delegate({
        ...about(),
        issuer,
        audience,
        ...(last !== undefined && { proofs: [last] }),
      });
      issuer = audience;
    }
    if (last === undefined) throw new Error('a chain has a holder');
    return { issuer, proofs: [last] };
  };
  const invoke = async (chain: Awaited<ReturnType<typeof delegate>>) =>
    documentRead.invoke({ ...about(), ...chain, audience: service }).delegate();
  const decide = async (invocation: Awaited<ReturnType<typeof invoke>>): Promise<void> => {
    const answer = await access(invocation, {
      capability: documentRead,
      authority: service,
      principal: Verifier,
      validateAuthorization: () => ({ ok: {} }),
    });
    if (answer.error !== undefined) throw new Error('ucanto should allow');
  };
  const kept = await delegate();
  return {
    cold: async (count) => {
      const calls: Call[] = [];
      for (let index = 0; index < count; index += 1) {
        const archive = await (await invoke(await delegate())).archive();
        const bytes = archive.ok ?? new Uint8Array();
        calls.push(async () => {
          const read = await Delegation.extract(bytes);
          if (read.ok === undefined) throw new Error('ucanto should read its own archive');
          await decide(read.ok as Awaited<ReturnType<typeof invoke>>);
        });
      }
      return calls;
    },
    warm: async (count) => {
      const invocations = await Promise.all(Array.from({ length: count }, () => invoke(kept)));
      return invocations.map((invocation) => () => decide(invocation));
    },
  };
}
