import { createSigner, limits, parsePublicJwk } from '@bulla/verifier';
import {
  type Checkpoint,
  type KeyAnswer,
  parseCheckpoint,
  type VerifiedCheckpoint,
  verifyCheckpoint,
  verifyKeyAnswer,
} from '@bulla/verifier/log';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf } from '../kit/codes.ts';
import { IssuerWorld, newKey } from '../kit/issuer.ts';

let world: IssuerWorld;
beforeAll(async () => {
  world = await IssuerWorld.create();
});
afterAll(() => world.remove());

/** As a tool does it that follows the log: the checkpoint is one whose signature holds. */
const trusted = (note: string): VerifiedCheckpoint => {
  const { origin } = parseCheckpoint(note);
  return verifyCheckpoint(note, { origin, logKey: parsePublicJwk(world.log.signer.publicKey.jwk) });
};
const ask = async (path: string): Promise<KeyAnswer> => {
  const response = await world.get(path);
  expect(response.status).toBe(200);
  expect(response.headers.get('cache-control')).toBe('no-store');
  return (await response.json()) as KeyAnswer;
};
const bytes = (answer: object): Uint8Array => Buffer.from(JSON.stringify(answer));
const jkt = (party: { readonly signer: ReturnType<typeof createSigner> }): string =>
  party.signer.publicKey.thumbprint;
const ofKey = (answer: KeyAnswer, key: string, under: Checkpoint = trusted(answer.checkpoint)) =>
  verifyKeyAnswer(bytes(answer), { key }, under);

describe('an answer about keys proves', () => {
  test("an agent's key, its owner, and that it is live", async () => {
    const key = jkt(world.agent);
    expect(ofKey(await ask(`/keys/${key}`), key)).toEqual({
      thumbprint: key,
      jwk: world.agent.signer.publicKey.jwk,
      subject: `agent/${world.agent.id}`,
      person: world.alice.id,
      live: true,
    });
  });
  test('that the log has never seen a key', async () => {
    const key = jkt(newKey());
    const nothing = { thumbprint: key, jwk: null, subject: null, person: null, live: false };
    expect(ofKey(await ask(`/keys/${key}`), key)).toEqual(nothing);
  });
  test("all of a person's keys, and what became of them at once when they are suspended", async () => {
    const bob = world.ledger.person();
    await world.appended(world.ledger.leaves.at(-2) ?? '');
    await world.appended(world.ledger.lastLeaf);
    const before = await ask(`/people/${bob.id}/keys`);
    const question = { principal: bob.id };
    expect(verifyKeyAnswer(bytes(before), question, trusted(before.checkpoint))).toMatchObject({
      principal: bob.id,
      status: 'active',
      assurance: 'admin',
      keys: [{ thumbprint: jkt(bob), live: true, subject: `principal/${bob.id}` }],
    });
    world.ledger.do({ type: 'principal.suspend', principal: bob.id });
    await world.appended(world.ledger.lastLeaf);
    const after = await ask(`/people/${bob.id}/keys`);
    const facts = verifyKeyAnswer(bytes(after), question, trusted(after.checkpoint));
    expect(facts).toMatchObject({ status: 'suspended', keys: [{ live: false }] });
    const old = trusted(before.checkpoint);
    expect(codeOf(() => verifyKeyAnswer(bytes(after), question, old))).toBe('key_answer_elsewhere');
  });
  test('what was written a moment ago, before a checkpoint of it was due', async () => {
    const own = await IssuerWorld.create();
    const { log } = own.hosted;
    const [admin] = own.ledger.admins;
    if (admin === undefined) throw new Error('there is no admin');
    for (const group of ['one', 'two']) {
      const op = { type: 'group.create', group, protected: false } as const;
      await log.write(admin, () => ({ ops: [op] }));
    }
    expect(log.checkpoint?.size).toBeLessThan(log.world.size);
    expect(await log.covered(({ size }) => size)).toBe(log.world.size);
    await own.remove();
  });
  test('that there is no such person', async () => {
    const principal = `prn_${'0'.repeat(32)}`;
    const answer = await ask(`/people/${principal}/keys`);
    const nobody = { principal, status: 'unknown', assurance: 'none', keys: [] };
    expect(verifyKeyAnswer(bytes(answer), { principal }, trusted(answer.checkpoint))).toEqual(nobody);
  });
});

describe('an answer about keys is refused', () => {
  const altered: readonly (readonly [string, string, (answer: KeyAnswer) => object])[] = [
    [
      'without one of its records',
      'key_answer_incomplete',
      ({ records, ...rest }) => ({ ...rest, records: records.slice(1) }),
    ],
    [
      'with a record twice',
      'key_answer_invalid',
      ({ records, ...rest }) => ({ ...rest, records: [...records, ...records] }),
    ],
    [
      'with another value',
      'state_proof_invalid',
      ({ records, ...rest }) => ({
        ...rest,
        records: records.map((record) => ({
          ...record,
          value: { ...(record.value as object), status: 'revoked' },
        })),
      }),
    ],
    [
      'with a record called absent',
      'state_proof_invalid',
      ({ records, ...rest }) => ({ ...rest, records: records.map((record) => ({ ...record, value: null })) }),
    ],
    [
      'with the proof of another record',
      'state_proof_invalid',
      ({ records, ...rest }) => ({
        ...rest,
        records: records.map((record, index) => ({ ...record, proof: records.at(index - 1)?.proof })),
      }),
    ],
    [
      'with a proof that is too long',
      'state_proof_too_long',
      ({ records, ...rest }) => ({
        ...rest,
        records: records.map((record) => ({
          ...record,
          proof: { siblings: Array.from({ length: limits.maxStateProofSiblings + 1 }, () => 'A'.repeat(43)) },
        })),
      }),
    ],
    ['with a member that nobody knows', 'key_answer_invalid', (answer) => ({ ...answer, live: true })],
    ['without a checkpoint', 'key_answer_invalid', ({ account, records }) => ({ account, records })],
  ];
  test.each(altered)('%s: %s', async (_, code, alter) => {
    const key = jkt(world.agent);
    const answer = await ask(`/keys/${key}`);
    const under = trusted(answer.checkpoint);
    expect(codeOf(() => verifyKeyAnswer(bytes(alter(answer)), { key }, under))).toBe(code);
  });
  test('where it answers another question', async () => {
    const answer = await ask(`/keys/${jkt(world.agent)}`);
    expect(codeOf(() => ofKey(answer, jkt(newKey())))).toBe('key_answer_incomplete');
  });
  test('under the same tree with another state root, whoever signed it', async () => {
    const key = jkt(world.agent);
    const answer = await ask(`/keys/${key}`);
    const state = Buffer.alloc(32, 1);
    expect(codeOf(() => ofKey(answer, key, { ...trusted(answer.checkpoint), state }))).toBe(
      'key_answer_elsewhere',
    );
  });
  test('where it is not JSON, or larger than its cap', () => {
    const under = { origin: 'x', size: 1, root: Buffer.alloc(32), state: Buffer.alloc(32) };
    const refused = (answer: Uint8Array): string =>
      codeOf(() => verifyKeyAnswer(answer, { key: 'k' }, under));
    expect(refused(Buffer.from('{'))).toBe('key_answer_invalid');
    expect(refused(Buffer.alloc(limits.maxKeyAnswerBytes + 1, 32))).toBe('key_answer_invalid');
  });
});

test('the issuer answers readers only, and nothing but thumbprints and ids', async () => {
  const codeAt = async (path: string, token?: string | null): Promise<unknown> =>
    ((await (await world.get(path, token)).json()) as { code?: unknown }).code;
  expect(await codeAt(`/keys/${jkt(world.agent)}`, null)).toBe('read_token_wrong');
  expect(await codeAt(`/people/${world.alice.id}/keys`, 'wrong')).toBe('read_token_wrong');
  expect(await codeAt('/keys/short')).toBe('parameter_invalid');
  expect(await codeAt('/people/alice/keys')).toBe('parameter_invalid');
});
