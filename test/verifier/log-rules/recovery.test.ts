import type { Signer } from '@bulla/verifier';
import type { Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { type Ledger, newSigner, type Party } from '../../kit/log.ts';
import { LoginWorld } from '../../kit/login.ts';
import { createWorld, thumbprint, type World } from './world.ts';

type SetRecovery = Extract<Operation, { readonly type: 'recovery.set' }>;

/** Asks as `signer` about `principal`, with an admin's wrapping. @returns the code; the entry is appended where it is accepted. */
function ask(
  ledger: Ledger,
  op: Operation,
  principal: string,
  signer: Signer,
  cosigners: readonly Signer[] = [],
): string {
  const request = ledger.signRequest(op, `principal/${principal}`, signer, { cosigners });
  return ledger.force(ledger.sign({ request }));
}

function set(world: World, change: Partial<SetRecovery>, cosigners: readonly Signer[] = []): string {
  const { ledger, alice } = world;
  const op: SetRecovery = {
    type: 'recovery.set',
    principal: alice.id,
    people: [],
    threshold: 0,
    ...change,
  };
  return ask(ledger, op, alice.id, alice.signer, cosigners);
}

/** Alice with a recovery key. */
function withKey(): World & { readonly spare: Signer } {
  const world = createWorld();
  const spare = newSigner();
  expect(set(world, { key: spare.publicKey.jwk }, [spare])).toBe('accepted');
  return { ...world, spare };
}

/** Alice, who said that two of bob, sam and dora may recover her key. */
function withPeople(): World & { readonly dora: Party } {
  const world = createWorld();
  const dora = world.ledger.person();
  const people = [world.bob.id, world.sam.id, dora.id];
  expect(set(world, { people, threshold: 2 })).toBe('accepted');
  return { ...world, dora };
}

function recover(world: World, signers: readonly Signer[], fresh: Signer = newSigner()): string {
  const [first = fresh, ...others] = signers;
  const op: Operation = { type: 'key.recover', principal: world.alice.id, key: fresh.publicKey.jwk };
  return ask(world.ledger, op, world.alice.id, first, first === fresh ? [] : [...others, fresh]);
}

const unmet = 'rule_recovery_unmet';
const notLive = 'rule_key_not_live';
const people = 'rule_recovery_people';

describe('who may recover a key', () => {
  test('is written by the person alone', () => {
    const world = createWorld();
    const { ledger, alice, bob, robot } = world;
    const op: Operation = { type: 'recovery.set', principal: alice.id, people: [bob.id], threshold: 1 };
    expect(ask(ledger, op, alice.id, bob.signer)).toBe('rule_not_owner');
    expect(ask(ledger, op, alice.id, robot.signer)).toBe('rule_not_owner');
    expect(ledger.codeOf(ledger.sign({ op }))).toBe('rule_not_permitted');
    expect(ask(ledger, op, alice.id, alice.signer)).toBe('accepted');
    expect(ledger.read(`principal/${alice.id}`)?.recovery).toEqual({
      key: null,
      people: [bob.id],
      threshold: 1,
      setBy: thumbprint(alice),
      setSeq: ledger.position.seq - 1,
    });
  });

  test.each<[string, (world: World) => Partial<SetRecovery>, string]>([
    ['two of two', ({ bob, sam }) => ({ people: [bob.id, sam.id], threshold: 2 }), 'accepted'],
    ['three of two', ({ bob, sam }) => ({ people: [bob.id, sam.id], threshold: 3 }), people],
    ['none of one', ({ bob }) => ({ people: [bob.id], threshold: 0 }), people],
    ['one of none', () => ({ people: [], threshold: 1 }), people],
    ['oneself', ({ alice }) => ({ people: [alice.id], threshold: 1 }), people],
    ['somebody pending', ({ carol }) => ({ people: [carol.id], threshold: 1 }), people],
    ['somebody unknown', () => ({ people: [`prn_${'0'.repeat(32)}`], threshold: 1 }), people],
  ])('%s', (_name, change, code) => {
    const world = createWorld();
    expect(set(world, change(world))).toBe(code);
  });

  test("nobody whose own key stands on a delegate's word", () => {
    const world = createWorld();
    const { carol, eve, ledger } = world;
    const key = newSigner();
    const op: Operation = { type: 'principal.activate', principal: carol.id, key: key.publicKey.jwk };
    ledger.ask(op, `principal/${carol.id}`, key, { relay: eve });
    expect(set(world, { people: [carol.id], threshold: 1 })).toBe(people);
  });

  test('a recovery key signs itself, and is one in no other place', () => {
    const world = createWorld();
    const spare = newSigner();
    const key = spare.publicKey.jwk;
    expect(set(world, { key })).toBe('rule_possession_unproven');
    expect(set(world, { key: world.bob.signer.publicKey.jwk }, [world.bob.signer])).toBe('rule_key_known');
    expect(set(world, { key }, [spare])).toBe('accepted');
    const add: Operation = { type: 'key.add', subject: `principal/${world.alice.id}`, key };
    expect(ask(world.ledger, add, world.alice.id, spare)).toBe(notLive);
    expect(ask(world.ledger, add, world.alice.id, world.alice.signer, [spare])).toBe('rule_key_known');
  });

  test('a new recovery key ends the old one; without a new one the old one stays', () => {
    const world = withKey();
    expect(set(world, { people: [world.bob.id], threshold: 1 })).toBe('accepted');
    expect(world.ledger.read(`principal/${world.alice.id}`)?.recovery?.key).toBe(thumbprint(world.spare));
    const next = newSigner();
    expect(set(world, { key: next.publicKey.jwk }, [next])).toBe('accepted');
    expect(world.ledger.read(`key/${thumbprint(world.spare)}`)?.status).toBe('revoked');
    expect(recover(world, [world.spare])).toBe(notLive);
    expect(recover(world, [next])).toBe('accepted');
  });

  test("is forgotten, with its key, once somebody better confirms who stood on a delegate's word", () => {
    const { carol, eve, ledger } = createWorld();
    const [key, spare, real] = [newSigner(), newSigner(), newSigner()];
    const subject = { type: 'principal.activate', principal: carol.id } as const;
    const op: Operation = { ...subject, key: key.publicKey.jwk, recovery: spare.publicKey.jwk };
    ledger.ask(op, `principal/${carol.id}`, key, { relay: eve, cosigners: [spare] });
    expect(ledger.read(`principal/${carol.id}`)?.recovery?.key).toBe(thumbprint(spare));
    ledger.do({ ...subject, key: real.publicKey.jwk }, [real]);
    expect(ledger.read(`principal/${carol.id}`)?.recovery).toBeNull();
    expect(ledger.read(`key/${thumbprint(spare)}`)?.status).toBe('revoked');
  });
});

describe('recovery by the recovery key', () => {
  test('raises the epoch, ends the older keys, takes the agents down and uses the key up', () => {
    const world = withKey();
    const { ledger, alice, robot, spare } = world;
    const fresh = newSigner();
    expect(recover(world, [spare], fresh)).toBe('accepted');
    expect(ledger.read(`principal/${alice.id}`)).toMatchObject({
      epoch: 2,
      keys: [thumbprint(fresh)],
      recovery: null,
      assurance: 'admin',
      recoveredSeq: ledger.position.seq - 1,
    });
    expect(ledger.read(`key/${thumbprint(alice)}`)?.status).toBe('revoked');
    expect(ledger.read(`key/${thumbprint(spare)}`)?.status).toBe('revoked');
    expect(ledger.read(`agent/${robot.id}`)?.ownerEpoch).toBe(1);
    expect(recover(world, [spare])).toBe(notLive);
  });

  test('lets nobody else recover where no people are named', () => {
    const world = withKey();
    expect(recover(world, [world.bob.signer])).toBe(unmet);
    expect(recover(world, [world.alice.signer])).toBe(unmet);
  });

  test("is for its own person's key alone", () => {
    const { ledger, bob, spare } = withKey();
    const fresh = newSigner();
    const op: Operation = { type: 'key.recover', principal: bob.id, key: fresh.publicKey.jwk };
    expect(ask(ledger, op, bob.id, spare, [fresh])).toBe(notLive);
  });

  test('as given at activation, with a log-in', () => {
    const { ledger } = createWorld();
    const login = new LoginWorld(ledger);
    const [key, spare, fresh] = [newSigner(), newSigner(), newSigner()];
    const dan = login.pending('dan-4');
    const op = { ...login.activate(dan, 'dan-4', key), recovery: spare.publicKey.jwk };
    expect(login.codeOf(op, key)).toBe('rule_possession_unproven');
    ledger.ask(op, `principal/${dan}`, key, { cosigners: [spare] });
    expect(ledger.read(`key/${thumbprint(spare)}`)?.subject).toBe(`recovery/${dan}`);
    const again: Operation = { type: 'key.recover', principal: dan, key: fresh.publicKey.jwk };
    expect(ask(ledger, again, dan, spare, [fresh])).toBe('accepted');
    expect(ledger.read(`principal/${dan}`)).toMatchObject({ keys: [thumbprint(fresh)], assurance: 'login' });
  });

  test.each<[string, (world: World & { readonly spare: Signer }) => void, string]>([
    [
      'was revoked by the person',
      ({ ledger, alice, spare }) => {
        const op: Operation = { type: 'key.revoke', key: thumbprint(spare) };
        expect(ask(ledger, op, alice.id, alice.signer)).toBe('accepted');
      },
      notLive,
    ],
    [
      'was set by a key that was revoked',
      ({ ledger, alice }) => ledger.do({ type: 'key.revoke', key: thumbprint(alice) }),
      notLive,
    ],
    [
      'was set by a key that was rotated out, and what it did was revoked since',
      ({ ledger, alice }) => {
        const next = newSigner();
        const op: Operation = { type: 'key.rotate', old: thumbprint(alice), key: next.publicKey.jwk };
        expect(ask(ledger, op, alice.id, alice.signer, [next])).toBe('accepted');
        ledger.do({ type: 'key.revoke', key: thumbprint(alice), since: 0 });
      },
      notLive,
    ],
    [
      'was there before a resume that let a key go',
      ({ ledger, alice }) => {
        ledger.do({ type: 'principal.suspend', principal: alice.id });
        ledger.do({ type: 'principal.resume', principal: alice.id, keys: [] });
      },
      notLive,
    ],
    [
      'was there before an admin recovered the key',
      ({ ledger, alice }) => {
        const key = newSigner();
        ledger.do({ type: 'key.recover', principal: alice.id, key: key.publicKey.jwk }, [key]);
      },
      notLive,
    ],
    [
      'is of somebody suspended',
      ({ ledger, alice }) => ledger.do({ type: 'principal.suspend', principal: alice.id }),
      'rule_subject_not_active',
    ],
    [
      'is of somebody who left',
      ({ ledger, alice }) => ledger.do({ type: 'principal.deprovision', principal: alice.id }),
      notLive,
    ],
    [
      'was there before a suspension that let no key go',
      ({ ledger, alice }) => {
        ledger.do({ type: 'principal.suspend', principal: alice.id });
        ledger.do({ type: 'principal.resume', principal: alice.id, keys: [thumbprint(alice)] });
      },
      'accepted',
    ],
    [
      'was there before a rotation',
      ({ ledger, alice }) => {
        const next = newSigner();
        const op: Operation = { type: 'key.rotate', old: thumbprint(alice), key: next.publicKey.jwk };
        expect(ask(ledger, op, alice.id, alice.signer, [next])).toBe('accepted');
      },
      'accepted',
    ],
  ])('that %s', (_name, happens, code) => {
    const world = withKey();
    happens(world);
    expect(recover(world, [world.spare])).toBe(code);
  });
});

describe('recovery by people', () => {
  test.each<[string, (world: ReturnType<typeof withPeople>) => readonly Signer[], string]>([
    ['two of the three', ({ bob, sam }) => [bob.signer, sam.signer], 'accepted'],
    ['another two of them', ({ dora, sam }) => [dora.signer, sam.signer], 'accepted'],
    ['all of them', ({ dora, sam, bob }) => [bob.signer, dora.signer, sam.signer], 'accepted'],
    ['one of them', ({ bob }) => [bob.signer], unmet],
    ['one of them, and the person', ({ bob, alice }) => [bob.signer, alice.signer], unmet],
    ['the person', ({ alice }) => [alice.signer], unmet],
    ['one of them, and an agent', ({ bob, robot }) => [bob.signer, robot.signer], unmet],
    ['one of them, and a key that nobody knows', ({ bob, mallory }) => [bob.signer, mallory], unmet],
    [
      'a key that nobody knows, and two of them',
      ({ bob, sam, mallory }) => [mallory, bob.signer, sam.signer],
      notLive,
    ],
    [
      'two of them, and the person',
      ({ bob, sam, alice }) => [bob.signer, sam.signer, alice.signer],
      'rule_signature_unneeded',
    ],
    ['the new key alone', () => [], notLive],
  ])('%s', (_name, signers, code) => {
    const world = withPeople();
    expect(recover(world, signers(world))).toBe(code);
  });

  test('one person with two keys is one person', () => {
    const world = withPeople();
    const second = newSigner();
    const subject = `principal/${world.bob.id}`;
    world.ledger.do({ type: 'key.add', subject, key: second.publicKey.jwk }, [second]);
    expect(recover(world, [world.bob.signer, second])).toBe(unmet);
    const three = [world.bob.signer, second, world.sam.signer];
    expect(recover(world, three)).toBe('rule_signature_unneeded');
  });

  test('whoever is suspended or has lost the key does not count', () => {
    const world = withPeople();
    world.ledger.do({ type: 'principal.suspend', principal: world.sam.id });
    world.ledger.do({ type: 'key.revoke', key: thumbprint(world.dora) });
    expect(recover(world, [world.bob.signer, world.sam.signer])).toBe(unmet);
    expect(recover(world, [world.bob.signer, world.dora.signer])).toBe(unmet);
  });

  test('a delegate does not count, and recovers nothing by itself', () => {
    const world = withPeople();
    expect(recover(world, [world.bob.signer, world.eve])).toBe(unmet);
    const fresh = newSigner();
    const op: Operation = { type: 'key.recover', principal: world.alice.id, key: fresh.publicKey.jwk };
    expect(world.ledger.codeOf(world.ledger.sign({ op }, world.eve, [fresh]))).toBe('rule_not_permitted');
  });

  test('falls with the key that brought in the key by which it was said', () => {
    const world = createWorld();
    const { ledger, alice, bob } = world;
    const second = newSigner();
    const add: Operation = {
      type: 'key.add',
      subject: `principal/${alice.id}`,
      key: second.publicKey.jwk,
    };
    expect(ask(ledger, add, alice.id, alice.signer, [second])).toBe('accepted');
    const op: Operation = { type: 'recovery.set', principal: alice.id, people: [bob.id], threshold: 1 };
    expect(ask(ledger, op, alice.id, second)).toBe('accepted');
    ledger.do({ type: 'key.revoke', key: thumbprint(alice), since: 0 });
    expect(recover(world, [bob.signer])).toBe(unmet);
  });

  test('works once: then the person says anew who may', () => {
    const world = withPeople();
    const { bob, sam } = world;
    expect(recover(world, [bob.signer, sam.signer])).toBe('accepted');
    expect(world.ledger.read(`principal/${world.alice.id}`)?.recovery).toBeNull();
    expect(recover(world, [bob.signer, sam.signer])).toBe(unmet);
  });
});

test("recovery by an admin is an admin's word for the key", () => {
  const { ledger } = createWorld();
  const login = new LoginWorld(ledger);
  const dan = login.pending('dan-4');
  login.confirm(dan, 'dan-4');
  const key = newSigner();
  ledger.do({ type: 'key.recover', principal: dan, key: key.publicKey.jwk }, [key]);
  expect(ledger.read(`principal/${dan}`)?.assurance).toBe('admin');
});
