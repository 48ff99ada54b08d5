import { type JsonObject, signJws } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { notesPolicy, outcomeOf, readNote } from '../../kit/api.ts';
import { type Payment, PaymentsWorld, payment, resigned } from '../../kit/payments.ts';
import { unpack, withField } from '../../kit/wire.ts';

let world: PaymentsWorld;
let paid: Payment;
beforeEach(() => {
  world = new PaymentsWorld();
  paid = { amount: 6000, envelope: world.api.envelope() };
});
const bob = () => world.approve(paid, world.bob.signer);
const carol = () => world.approve(paid, world.carol.signer);

describe('when it is signed and ends', () => {
  const timed = (change: JsonObject) => resigned(bob(), world.bob.signer, change);
  test('expired, from the future, longer than an hour, backwards: refused', async () => {
    const { now } = world.api;
    const outcome = (change: JsonObject) => world.outcome(paid, [timed(change), carol()]);
    expect(await outcome({ iat: now - 100, exp: now })).toBe('approval_time');
    expect(await outcome({ iat: now + 6, exp: now + 60 })).toBe('approval_time');
    expect(await outcome({ iat: now, exp: now + 3601 })).toBe('approval_time');
    expect(await outcome({ iat: now, exp: now })).toBe('approval_time');
    expect(await outcome({ iat: now + 5, exp: now + 3605 })).toBe('allow');
  });
  test('expired while store and route were asked: refused', async () => {
    const access = payment(6000);
    const approvals = [timed({ exp: world.api.now + 30 }), carol()];
    const resource = () => {
      world.api.now += 30;
      return access.resource();
    };
    const asked = world.api.decide(world.request(paid, approvals), { ...access, resource });
    expect(await outcomeOf(asked)).toBe('approval_time');
  });
});

describe('the field', () => {
  test('is refused where the action declares no approvals', async () => {
    world.api.publish(notesPolicy);
    const envelope = world.api.envelope();
    const approval = world.approve({ amount: 1, envelope }, world.bob.signer);
    const wire = withField(world.api.request({ envelope }), 'bulla-approval', approval);
    expect(await outcomeOf(world.api.decide(wire, readNote()))).toBe('approvals_not_taken');
  });
  test('is one, holds at most eight, and each is whole', async () => {
    const with8 = Array.from({ length: 9 }, () => bob());
    expect(await world.outcome(paid, with8)).toBe('approvals_too_large');
    const wire = world.request(paid, [bob()]);
    const twice = { ...wire, headers: [...wire.headers, ['Bulla-Approval', carol()] as const] };
    expect(await outcomeOf(world.api.decide(twice, payment(6000)))).toBe('request_field_repeated');
    for (const odd of ['', ',', `${bob()},`, 'x.y.z', `"${bob()}"`, `${bob()}~${carol()}`]) {
      const asked = world.api.decide(withField(wire, 'bulla-approval', odd), payment(6000));
      expect(await outcomeOf(asked)).toBe('approval_malformed');
    }
    const long = world.api.decide(withField(wire, 'bulla-approval', 'a'.repeat(6145)), payment(6000));
    expect(await outcomeOf(long)).toBe('approvals_too_large');
  });
  test('takes exactly these claims and header members', async () => {
    const { now } = world.api;
    const outcome = (approval: string) => world.outcome(paid, [approval, carol()]);
    const { signer } = world.bob;
    for (const change of [
      { groups: ['finance'] },
      { jti: '' },
      { jti: 'x'.repeat(129) },
      { jti: 'ü'.repeat(65) },
      { jti: 7 },
      { iat: String(now) },
      { request: 'x' },
      { envelope: `${'A'.repeat(42)}=` },
    ] as JsonObject[]) {
      expect(await outcome(resigned(bob(), signer, change)), Object.keys(change)[0]).toBe(
        'approval_malformed',
      );
    }
    const headers: JsonObject[] = [
      { jwk: { ...signer.publicKey.jwk } },
      { typ: 'dpop+jwt' },
      { crit: ['b64'] },
      { kid: 'bob' },
    ];
    for (const header of headers) {
      expect(await outcome(resigned(bob(), signer, {}, header))).toBe('approval_malformed');
    }
    expect(await outcome(resigned(bob(), signer, {}, { alg: 'ES256' }))).toBe('approval_signature_invalid');
    expect(await outcome(resigned(bob(), signer, {}, { alg: 'none' }))).toBe('approval_signature_invalid');
  });
  test('takes nothing else that a person signed', async () => {
    const claims = unpack(bob()).claims;
    const block = signJws(
      'bulla-block+jwt',
      { kid: world.bob.signer.publicKey.thumbprint },
      claims,
      world.bob.signer,
    );
    expect(await world.outcome(paid, [block, carol()])).toBe('approval_malformed');
  });
});
