import type { Signer } from '@bulla/verifier';
import { agentIdOf, agentIsLive, keyIsLive, type Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { type Ledger, newSigner, type Party } from '../../kit/log.ts';
import { createWorld, thumbprint, type World } from './world.ts';

const live = (ledger: Ledger, party: Party | Signer): boolean => keyIsLive(ledger.read, thumbprint(party));

/** A request by `signer`, appended whatever becomes of it. */
function ask(
  ledger: Ledger,
  op: Operation,
  subject: string,
  signer: Signer,
  cosigners: readonly Signer[] = [],
): string {
  return ledger.force(ledger.sign({ request: ledger.signRequest(op, subject, signer, { cosigners }) }));
}

function addKey(world: World, subject: string, by: Signer): { readonly code: string; readonly key: Signer } {
  const key = newSigner('P-256');
  const code = ask(world.ledger, { type: 'key.add', subject, key: key.publicKey.jwk }, subject, by, [key]);
  return { code, key };
}

describe('a key enters once, by its own signature, for one subject', () => {
  const world = createWorld();
  const { ledger, alice, bob, robot, eve } = world;
  const known: readonly (readonly [string, Signer])[] = [
    ["alice's", alice.signer],
    ["the robot's", robot.signer],
    ["an admin's", ledger.admin],
    ["a delegate's", eve],
    ["the log's", ledger.logKey],
  ];
  test.each(known)('%s key can become nobody else', (_name, signer) => {
    const key = signer.publicKey.jwk;
    const ops: readonly Operation[] = [
      { type: 'key.add', subject: `principal/${bob.id}`, key },
      { type: 'agent.register', owner: bob.id, kind: 'interactive', key },
      { type: 'delegate.grant', key, lease: ledger.lease() },
      { type: 'admin.add', key },
      { type: 'log.key', key },
      { type: 'key.recover', principal: bob.id, key },
    ];
    for (const op of ops) {
      const cosigners = signer === ledger.admin ? [] : [signer];
      expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, cosigners))).toBe('rule_key_known');
    }
  });
  test('a key that was revoked cannot come back', () => {
    const again = createWorld();
    again.ledger.do({ type: 'key.revoke', key: thumbprint(again.robot) });
    const key = again.robot.signer.publicKey.jwk;
    const op: Operation = { type: 'key.add', subject: `agent/${again.robot.id}`, key };
    expect(again.ledger.codeOf(again.ledger.sign({ op }, again.ledger.admin, [again.robot.signer]))).toBe(
      'rule_key_known',
    );
  });
  test("a signature by another key is no proof of the new key's possession", () => {
    const op: Operation = { type: 'key.add', subject: `principal/${bob.id}`, key: newSigner().publicKey.jwk };
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [newSigner()]))).toBe('rule_possession_unproven');
  });
  test('a small-order key is refused', () => {
    const op: Operation = {
      type: 'key.add',
      subject: `principal/${bob.id}`,
      key: { kty: 'OKP', crv: 'Ed25519', x: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
    };
    expect(ledger.codeOf(ledger.sign({ op }))).toBe('key_invalid');
  });
  test('no more than 16 for one subject', () => {
    const many = createWorld();
    const subject = `principal/${many.bob.id}`;
    for (let count = 1; count < 16; count += 1) {
      expect(addKey(many, subject, many.bob.signer).code).toBe('accepted');
    }
    expect(addKey(many, subject, many.bob.signer).code).toBe('rule_keys_too_many');
  });
});

describe('key.add', () => {
  test('by a person for herself and for her agent', () => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    for (const subject of [`principal/${alice.id}`, `agent/${robot.id}`]) {
      const { code, key } = addKey(world, subject, alice.signer);
      expect(code).toBe('accepted');
      expect(live(ledger, key)).toBe(true);
      expect(ledger.read(`key/${thumbprint(key)}`)).toMatchObject({ subject, addedBy: thumbprint(alice) });
    }
  });
  test.each(['carol', 'nobody'] as const)('for %s, who is not active, is refused', (who) => {
    const { ledger, carol } = createWorld();
    const key = newSigner();
    const subject = `principal/${who === 'carol' ? carol.id : `prn_${'0'.repeat(32)}`}`;
    const leaf = ledger.sign({ op: { type: 'key.add', subject, key: key.publicKey.jwk } }, ledger.admin, [
      key,
    ]);
    expect(ledger.codeOf(leaf)).toBe(who === 'carol' ? 'rule_subject_not_active' : 'rule_subject_unknown');
  });
});

describe('key.rotate', () => {
  test('replaces the key that signed it, of a person or of an agent', () => {
    const { ledger, alice, robot } = createWorld();
    for (const [party, subject] of [
      [robot, `agent/${robot.id}`],
      [alice, `principal/${alice.id}`],
    ] as const) {
      const key = newSigner();
      const op: Operation = { type: 'key.rotate', old: thumbprint(party), key: key.publicKey.jwk };
      expect(ask(ledger, op, subject, party.signer, [key])).toBe('accepted');
      expect([live(ledger, party), live(ledger, key)]).toEqual([false, true]);
    }
  });
  test("of another key of the same person, or by her of her agent's, is refused", () => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    const { key: second } = addKey(world, `principal/${alice.id}`, alice.signer);
    const key = newSigner();
    const rotate = (old: Signer): Operation => ({
      type: 'key.rotate',
      old: thumbprint(old),
      key: key.publicKey.jwk,
    });
    expect(ask(ledger, rotate(second), `principal/${alice.id}`, alice.signer, [key])).toBe(
      'rule_not_permitted',
    );
    expect(ask(ledger, rotate(robot.signer), `agent/${robot.id}`, alice.signer, [key])).toBe(
      'rule_not_permitted',
    );
  });
  test('ends after 16 links; the owner starts afresh', () => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    let signer = robot.signer;
    const codes: string[] = [];
    for (let count = 0; count < 15; count += 1) {
      const key = newSigner();
      const op: Operation = { type: 'key.rotate', old: thumbprint(signer), key: key.publicKey.jwk };
      codes.push(ask(ledger, op, `agent/${robot.id}`, signer, [key]));
      if (codes.at(-1) === 'accepted') signer = key;
    }
    expect(codes).toEqual([...Array.from({ length: 14 }, () => 'accepted'), 'rule_key_chain']);
    expect(live(ledger, signer)).toBe(true);
    expect(addKey(world, `agent/${robot.id}`, alice.signer).code).toBe('accepted');
  });
});

describe('key.revoke', () => {
  test('a person revokes her keys and those of her agents, an agent its own', () => {
    const world = createWorld();
    const { ledger, alice, robot } = world;
    const { key } = addKey(world, `agent/${robot.id}`, alice.signer);
    const revoke = (whose: Signer): Operation => ({ type: 'key.revoke', key: thumbprint(whose) });
    expect(ask(ledger, revoke(key), `agent/${robot.id}`, robot.signer)).toBe('rule_not_owner');
    expect(ask(ledger, revoke(key), `agent/${robot.id}`, alice.signer)).toBe('accepted');
    expect(ask(ledger, revoke(robot.signer), `agent/${robot.id}`, robot.signer)).toBe('accepted');
    expect(ask(ledger, revoke(alice.signer), `principal/${alice.id}`, alice.signer)).toBe('accepted');
    expect(ask(ledger, revoke(alice.signer), `principal/${alice.id}`, alice.signer)).toBe(
      'rule_key_not_live',
    );
    expect(ledger.codeOf(ledger.sign({ op: revoke(alice.signer) }))).toBe('rule_key_revoked');
  });
  test.each(['admin', 'eve', 'logKey'] as const)('does not touch the key of %s', (who) => {
    const { ledger, eve } = createWorld();
    const key = who === 'eve' ? eve : ledger[who];
    const op: Operation = { type: 'key.revoke', key: thumbprint(key) };
    expect(ledger.codeOf(ledger.sign({ op }))).toBe('rule_key_unknown');
  });
  test('`since` takes with it what the key added from then on, and what that added', () => {
    const world = createWorld();
    const { ledger, alice } = world;
    const subject = `principal/${alice.id}`;
    const { key: before } = addKey(world, subject, alice.signer);
    const since = ledger.position.seq;
    const { key: thief } = addKey(world, subject, alice.signer);
    const { key: second } = addKey(world, subject, thief);
    const bot = ledger.agent({ id: alice.id, signer: second });
    const all = [alice, before, thief, second, bot];
    expect(all.map((party) => live(ledger, party))).toEqual([true, true, true, true, true]);
    ledger.do({ type: 'key.revoke', key: thumbprint(alice), since });
    expect(all.map((party) => live(ledger, party))).toEqual([false, true, false, false, false]);
    expect(agentIsLive(ledger.read, bot.id)).toBe(false);
  });
  test('`since` can be set later and moved back, not forth', () => {
    const { ledger, alice, robot } = createWorld();
    const since = ledger.position.seq;
    const revoke = (at?: number): string =>
      ledger.force(
        ledger.sign({
          op: { type: 'key.revoke', key: thumbprint(alice), ...(at === undefined ? {} : { since: at }) },
        }),
      );
    expect(revoke(ledger.position.seq + 1)).toBe('rule_revoke_since');
    expect(revoke()).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
    expect([revoke(since), revoke(since + 1), revoke()]).toEqual([
      'accepted',
      'rule_key_revoked',
      'rule_key_revoked',
    ]);
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
    expect(revoke(0)).toBe('accepted');
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
  });
  test('an agent that fell with a key comes back only when its owner or an admin takes it on', () => {
    const { ledger, alice, robot, eve } = createWorld();
    const fresh = newSigner();
    const add: Operation = { type: 'key.add', subject: `principal/${alice.id}`, key: fresh.publicKey.jwk };
    ledger.do(add, [fresh]);
    ledger.do({ type: 'agent.suspend', agent: robot.id }, [], eve);
    ledger.do({ type: 'key.revoke', key: thumbprint(alice), since: 0 });
    ledger.do({ type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] }, [], eve);
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    ledger.do({ type: 'agent.suspend', agent: robot.id });
    ledger.do({ type: 'agent.resume', agent: robot.id, keys: [] });
    expect(agentIsLive(ledger.read, robot.id)).toBe(true);
  });
});

describe('key.recover', () => {
  test('raises the epoch, ends every older key, and suspends her agents with the keys those added', () => {
    const { ledger, alice, robot } = createWorld();
    const subject = `agent/${robot.id}`;
    const epoch = ledger.read(`principal/${alice.id}`)?.epoch ?? 0;
    const key = newSigner();
    ledger.do({ type: 'key.recover', principal: alice.id, key: key.publicKey.jwk }, [key]);
    expect(ledger.read(`principal/${alice.id}`)).toMatchObject({ epoch: epoch + 1, keys: [thumbprint(key)] });
    expect([live(ledger, alice), live(ledger, key), live(ledger, robot)]).toEqual([false, true, false]);
    expect(agentIsLive(ledger.read, robot.id)).toBe(false);
    const resume = (keys: readonly string[]): string =>
      ask(ledger, { type: 'agent.resume', agent: robot.id, keys }, subject, key);
    expect(resume([thumbprint(robot)])).toBe('rule_key_not_live');
    const fresh = newSigner();
    const add: Operation = { type: 'key.add', subject, key: fresh.publicKey.jwk };
    expect(ask(ledger, add, subject, key, [fresh])).toBe('accepted');
    expect(resume([thumbprint(fresh)])).toBe('accepted');
    expect([live(ledger, fresh), live(ledger, robot)]).toEqual([true, false]);
  });
  test('of a pending or departed person is refused, and a suspended one stays suspended', () => {
    const { ledger, alice, bob, carol } = createWorld();
    ledger.do({ type: 'principal.deprovision', principal: bob.id });
    ledger.do({ type: 'principal.suspend', principal: alice.id });
    const key = newSigner();
    const recover = (principal: string): string =>
      ledger.force(
        ledger.sign({ op: { type: 'key.recover', principal, key: key.publicKey.jwk } }, ledger.admin, [key]),
      );
    expect([recover(carol.id), recover(bob.id), recover(alice.id)]).toEqual([
      'rule_status',
      'rule_status',
      'accepted',
    ]);
    expect(live(ledger, key)).toBe(false);
  });
});

describe('agent.register', () => {
  test('makes an agent of its owner, and shows who registered it', () => {
    const { ledger, alice } = createWorld();
    const own = ledger.agent(alice);
    const given = ledger.agent(alice, { kind: 'interactive' });
    expect(ledger.read(`agent/${own.id}`)).toMatchObject({
      owner: alice.id,
      kind: 'autonomous',
      registeredBy: 'owner',
      adoptedWith: thumbprint(alice),
    });
    expect(ledger.read(`agent/${given.id}`)).toMatchObject({ registeredBy: 'admin', adoptedWith: null });
  });
  test('of an interactive kind is for admins alone', () => {
    const { ledger, alice } = createWorld();
    const key = newSigner();
    const op: Operation = {
      type: 'agent.register',
      owner: alice.id,
      kind: 'interactive',
      key: key.publicKey.jwk,
    };
    expect(ask(ledger, op, `principal/${alice.id}`, alice.signer, [key])).toBe('rule_not_permitted');
    expect(agentIdOf(ledger.lastLeaf)).toMatch(/^agt_[0-9a-f]{32}$/u);
  });
  test('for somebody who is not active is refused', () => {
    const { ledger, carol } = createWorld();
    const key = newSigner();
    const op: Operation = {
      type: 'agent.register',
      owner: carol.id,
      kind: 'autonomous',
      key: key.publicKey.jwk,
    };
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [key]))).toBe('rule_subject_not_active');
  });
  test('stops at 64 agents of one owner that are not revoked', () => {
    const { ledger, bob } = createWorld();
    const first = ledger.agent(bob);
    for (let count = 1; count < 64; count += 1) ledger.agent(bob);
    const key = newSigner();
    const op: Operation = {
      type: 'agent.register',
      owner: bob.id,
      kind: 'autonomous',
      key: key.publicKey.jwk,
    };
    const request = () => ledger.signRequest(op, `principal/${bob.id}`, bob.signer, { cosigners: [key] });
    expect(ledger.codeOf(ledger.sign({ request: request() }))).toBe('rule_agents_too_many');
    ledger.do({ type: 'agent.revoke', agent: first.id });
    expect(ledger.codeOf(ledger.sign({ request: request() }))).toBe('accepted');
  });
});
