import { memoryReplay, type ReplayStore, type Signer } from '@bulla/verifier';
import { signBlock } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { outcomeOf } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';
import { type Payment, PaymentsWorld, payment, resigned } from '../../kit/payments.ts';
import { withField } from '../../kit/wire.ts';

let world: PaymentsWorld;
let paid: Payment;
beforeEach(() => {
  world = new PaymentsWorld();
  paid = { amount: 6000, envelope: world.api.envelope() };
});
const bob = () => world.approve(paid, world.bob.signer);
const carol = () => world.approve(paid, world.carol.signer);

describe('two people of finance', () => {
  test('make a large payment possible, and the receipt and the grant name them', async () => {
    const decision = await world.api.decide(world.request(paid, [bob(), carol()]), payment(6000));
    const people = [world.bob.id, world.carol.id];
    expect(decision).toMatchObject({ allowed: true, grant: { approvers: people } });
    expect(decision.receipt.approvers).toEqual(people);
  });
  test.each([
    ['no approval', () => []],
    ['one approval', () => [bob()]],
    ['one person twice', () => [bob(), bob()]],
    ['one of finance and one of the board', () => [bob(), world.approve(paid, world.dora.signer)]],
  ])('are two: with %s the policy denies', async (_, approvals) => {
    expect(await world.outcome(paid, approvals())).toBe('deny');
  });
  test('are people, not keys', async () => {
    const second = newSigner();
    const subject = `principal/${world.bob.id}`;
    world.api.ledger.do({ type: 'key.add', subject, key: second.publicKey.jwk }, [second]);
    expect(await world.outcome(paid, [bob(), world.approve(paid, second)])).toBe('deny');
    expect(await world.outcome(paid, [world.approve(paid, second), carol()])).toBe('allow');
  });
  test('may be in the group by another group', async () => {
    const { ledger } = world.api;
    ledger.group('controllers', { protected: true });
    ledger.do({ type: 'member.add', group: 'finance', member: 'group/controllers' });
    const erin = ledger.person({ groups: ['controllers'] });
    expect(await world.outcome(paid, [bob(), world.approve(paid, erin.signer)])).toBe('allow');
  });
});

test('what somebody approved before they were suspended does not come back with them, though their key survives', async () => {
  const { ledger } = world.api;
  const old = bob();
  world.api.now += 10;
  ledger.time = world.api.now;
  ledger.do({ type: 'principal.suspend', principal: world.bob.id });
  expect(await world.outcome(paid, [old, carol()])).toBe('approver_not_active');
  ledger.do({
    type: 'principal.resume',
    principal: world.bob.id,
    keys: [world.bob.signer.publicKey.thumbprint],
  });
  world.api.now = ledger.time;
  expect(await world.outcome(paid, [old, carol()])).toBe('approver_not_active');
  expect(await world.outcome(paid, [bob(), carol()])).toBe('allow');
});

describe('an approval works once', () => {
  test('with two proofs of the same request (F23)', async () => {
    const approvals = [bob(), carol()];
    expect(await world.outcome(paid, approvals)).toBe('allow');
    expect(await world.outcome(paid, approvals)).toBe('approval_replayed');
    expect(await world.outcome(paid, [approvals[0] ?? '', carol()])).toBe('approval_replayed');
  });
  test('also when signed again under the same jti', async () => {
    const first = bob();
    expect(await world.outcome(paid, [first, carol()])).toBe('allow');
    const again = resigned(first, world.bob.signer, { iat: world.api.now - 1 });
    expect(await world.outcome(paid, [again, carol()])).toBe('approval_replayed');
  });
  test('also within one request', async () => {
    const one = bob();
    expect(await world.outcome(paid, [one, one])).toBe('approval_replayed');
    expect(await world.outcome(paid, [one, carol()])).toBe('allow');
  });
  test('of many requests at the same moment, one is made', async () => {
    const approvals = [bob(), carol()];
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => world.outcome(paid, approvals)));
    expect(outcomes.filter((each) => each === 'allow')).toHaveLength(1);
    expect(outcomes.filter((each) => each === 'approval_replayed')).toHaveLength(19);
  });
  test('is spent where the policy denied, and unspent where the proof was refused', async () => {
    const one = bob();
    const wire = world.request(paid, [one, carol()]);
    const spoiled = wire.headers.find(([name]) => name === 'dpop')?.[1]?.replace(/.{4}$/u, 'AAAA');
    expect(await outcomeOf(world.api.decide(withField(wire, 'dpop', spoiled), payment(6000)))).toMatch(
      /^proof_/u,
    );
    expect(await world.outcome(paid, [one])).toBe('deny');
    expect(await world.outcome(paid, [one, carol()])).toBe('approval_replayed');
  });
  test('is unspent where a proof is replayed with it', async () => {
    const wire = world.request(paid);
    expect(await outcomeOf(world.api.decide(wire, payment(6000)))).toBe('deny');
    const approvals = [bob(), carol()];
    const replayed = withField(wire, 'bulla-approval', approvals.join(','));
    expect(await outcomeOf(world.api.decide(replayed, payment(6000)))).toBe('proof_replayed');
    expect(await world.outcome(paid, approvals)).toBe('allow');
  });
  test('is refused by a store that does not know approvals', async () => {
    const memory = memoryReplay({ processes: 1, startedAt: world.api.now - 3600 });
    const replay: ReplayStore = { claim: (use, now) => memory.claim(use, now) };
    const verifier = world.api.verifierWith({ replay });
    const decision = verifier.decide(world.request(paid, [bob(), carol()]), payment(6000));
    expect(await outcomeOf(decision)).toBe('replay_store_unavailable');
    expect(await outcomeOf(verifier.decide(world.request({ ...paid, amount: 50 }), payment(50)))).toBe(
      'allow',
    );
  });
  test('is refused after a restart that may have forgotten it', async () => {
    const approvals = [bob(), carol()];
    world.api.now += 120;
    const replay = memoryReplay({ processes: 1, startedAt: world.api.now - 60 });
    const decision = world.api.verifierWith({ replay }).decide(world.request(paid, approvals), payment(6000));
    expect(await outcomeOf(decision)).toBe('approval_too_old');
  });
});

describe('an approval is of one exact request', () => {
  test.each<[string, (given: Payment) => Payment, string]>([
    ['another body', (p) => ({ ...p, amount: 6001 }), 'approval_request_mismatch'],
    [
      'another query',
      (p) => ({ ...p, url: 'https://api.example/payments?currency=USD' }),
      'approval_request_mismatch',
    ],
    [
      'another path',
      (p) => ({ ...p, url: 'https://api.example/payments/2?currency=EUR' }),
      'approval_request_mismatch',
    ],
    ['another method', (p) => ({ ...p, method: 'PUT' }), 'approval_request_mismatch'],
    [
      'another envelope of the same agent',
      (p) => ({ ...p, envelope: world.api.envelope() }),
      'approval_envelope_mismatch',
    ],
  ])('put on %s it is refused', async (_, change, code) => {
    const approvals = [bob(), carol()];
    expect(await world.outcome(change(paid), approvals)).toBe(code);
    expect(await world.outcome(paid, approvals)).toBe('allow');
  });
  test('put on another content type, or another bound field, it is refused', async () => {
    const approvals = [bob(), carol()].join(',');
    for (const headers of [
      { 'content-type': 'application/xml' },
      { 'content-type': 'application/json', 'idempotency-key': '7' },
    ]) {
      const { method, url, body = '' } = world.described(paid);
      const wire = world.api.request({ method, url, body, headers, envelope: paid.envelope });
      const asked = world.api.decide(withField(wire, 'bulla-approval', approvals), payment(6000));
      expect(await outcomeOf(asked)).toBe('approval_request_mismatch');
    }
  });
  test('for another origin of the same API it is refused', async () => {
    const elsewhere = world.approve(
      { ...paid, url: 'https://other.example/payments?currency=EUR' },
      world.bob.signer,
    );
    expect(await world.outcome(paid, [elsewhere, carol()])).toBe('approval_request_mismatch');
  });
  test('for another account it is refused, whoever signs that', async () => {
    const other = resigned(bob(), world.bob.signer, { account: new PaymentsWorld().api.ledger.account });
    expect(await world.outcome(paid, [other, carol()])).toBe('approval_account_mismatch');
  });
  test('binds the body on a route that opted down to plain proofs', async () => {
    const approvals = [bob(), carol()].join(',');
    const { method, url } = world.described(paid);
    const plain = world.api.request({ method, url, envelope: paid.envelope, plain: true });
    const wire = { ...plain, body: Buffer.from('{"amount":9999}') };
    const asked = world.api.decide(withField(wire, 'bulla-approval', approvals), payment(6000), {
      dangerouslyPlainDpop: true,
    });
    expect(await outcomeOf(asked)).toBe('approval_request_mismatch');
  });
  test('holds for a narrower envelope of the same root', async () => {
    const { agent, now } = world.api;
    const block = { iat: now, depth: 0, next: agent.signer.publicKey.jwk };
    const narrower = signBlock(paid.envelope, block, agent.signer);
    expect(await world.outcome({ ...paid, envelope: narrower }, [bob(), carol()])).toBe('allow');
  });
});

describe('who approves', () => {
  const approvers: Record<string, () => [Signer, string]> = {
    'the acting person': () => [world.api.alice.signer, 'approver_not_independent'],
    'the acting agent': () => [world.api.agent.signer, 'approver_not_person'],
    'another agent': () => [world.api.ledger.agent(world.bob).signer, 'approver_not_person'],
    'a mint key': () => [world.api.mint, 'approver_not_person'],
    'an admin key': () => [world.api.ledger.admin, 'approver_not_person'],
    'a delegate key': () => [
      world.api.ledger.grant({ operations: ['principal.suspend'] }),
      'approver_not_person',
    ],
    'a key in no log': () => [newSigner(), 'approver_not_active'],
    'a person who is not active yet': () => {
      const pending = world.api.ledger.person({ groups: ['finance'], pending: true });
      return [pending.signer, 'approver_not_active'];
    },
  };
  test.each(Object.keys(approvers))('%s does not count: refused, and nothing is spent', async (who) => {
    const [signer, code] = approvers[who]?.() ?? [newSigner(), ''];
    const approvals = [bob(), carol()];
    expect(await world.outcome(paid, [...approvals, world.approve(paid, signer)])).toBe(code);
    expect(await world.outcome(paid, approvals)).toBe('allow');
  });
  test.each<[string, (w: PaymentsWorld) => void]>([
    ['is suspended', (w) => w.api.ledger.do({ type: 'principal.suspend', principal: w.bob.id })],
    ['is gone', (w) => w.api.ledger.do({ type: 'principal.deprovision', principal: w.bob.id })],
    ['is stopped', (w) => w.api.stops.add(`principal/${w.bob.id}`)],
    ['has a stopped key', (w) => w.api.stops.add(`key/${w.bob.signer.publicKey.thumbprint}`)],
    [
      'has a revoked key',
      (w) => w.api.ledger.do({ type: 'key.revoke', key: w.bob.signer.publicKey.thumbprint, since: 0 }),
    ],
  ])('an approver who %s does not count: refused, and nothing is spent', async (_, change) => {
    const approvals = [bob(), carol()];
    change(world);
    expect(await world.outcome(paid, approvals)).toBe('approver_not_active');
  });
  test('an approver who is suspended while store and route are asked does not count', async () => {
    const access = payment(6000);
    const resource = () => {
      world.api.ledger.do({ type: 'principal.suspend', principal: world.bob.id });
      return access.resource();
    };
    const asked = world.api.decide(world.request(paid, [bob(), carol()]), { ...access, resource });
    expect(await outcomeOf(asked)).toBe('approver_not_active');
  });
  test('a signature by another key is refused', async () => {
    const forged = resigned(bob(), world.carol.signer, {});
    expect(await world.outcome(paid, [forged, carol()])).toBe('approval_signature_invalid');
  });
  test('an owner of an agent that holds the envelope later approves nothing', async () => {
    const { ledger, agent, now } = world.api;
    const bobsAgent = ledger.agent(world.bob);
    const block = { iat: now, depth: 0, next: bobsAgent.signer.publicKey.jwk };
    const handed = { ...paid, envelope: signBlock(paid.envelope, block, agent.signer) };
    const outcome = await world.outcome(handed, [bob(), carol()], bobsAgent.signer);
    expect(outcome).toBe('approver_not_independent');
  });
  test('a group that is not protected counts nobody, nor does one that is not there', async () => {
    const { ledger } = world.api;
    ledger.do({ type: 'group.delete', group: 'finance' });
    expect(await world.outcome(paid, [bob(), carol()])).toBe('deny');
    world = new PaymentsWorld({ protectedFinance: false });
    paid = { amount: 6000, envelope: world.api.envelope() };
    expect(await world.outcome(paid, [bob(), carol()])).toBe('deny');
  });
});
