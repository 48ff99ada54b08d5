import { signRoot } from '@bulla/verifier/envelope';
import { type Operation, principalIdOf } from '@bulla/verifier/log';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { audience } from '../kit/issuer.ts';
import { newSigner, testDomain } from '../kit/log.ts';
import { HostileIssuer, rootClaims } from './hostile.ts';

// Law 2, the mint key and the end of the leases: what Eve signs lives inside what an admin lent, and no longer.

const lease = 3600;

describe('law 2: an envelope that outlives the lease', () => {
  let hostile: HostileIssuer;
  beforeEach(async () => {
    hostile = await HostileIssuer.create(lease);
  });
  afterEach(() => hostile.close());

  test('by living longer than the lease allows, or past its end', async () => {
    const iat = Math.floor(hostile.world.ports.now());
    expect(await hostile.outcome(hostile.envelope({ iat, exp: iat + 600 }))).toBe('allow');
    expect(await hostile.outcome(hostile.envelope({ iat, exp: iat + 601 }))).toBe('mint_lifetime_exceeded');
    const past = hostile.envelope({ iat: iat - 100_000, exp: iat + 60 });
    expect(await hostile.outcome(past)).toBe('mint_lifetime_exceeded');
    hostile.world.ahead += lease - 300;
    const late = Math.floor(hostile.world.ports.now());
    await hostile.follower.until((trust) => trust.age(late) < 60);
    const within = hostile.envelope({ iat: late, exp: hostile.ledger.time + lease - 1 });
    expect(await hostile.outcome(within)).toBe('allow');
    const beyond = hostile.envelope({ iat: late, exp: hostile.ledger.time + lease + 60 });
    expect(await hostile.outcome(beyond)).toBe('mint_lifetime_exceeded');
  });

  test('for an audience that the lease does not list', async () => {
    expect(await hostile.outcome(hostile.envelope({ aud: ['https://other.example'] }))).toBe(
      'audience_mismatch',
    );
    const both = hostile.envelope({ aud: [audience, 'https://other.example'] });
    expect(await hostile.outcome(both)).toBe('mint_not_trusted');
  });

  test('signed by the delegate key, the log key or an invented one', async () => {
    const claims = rootClaims(hostile.ledger, hostile.alice, hostile.world.ports.now());
    for (const signer of [hostile.eve, hostile.world.log.signer, newSigner()]) {
      expect(await hostile.outcome(signRoot(claims, signer))).toBe('mint_not_trusted');
    }
  });
});

describe('law 2: after the leases have ended', () => {
  let hostile: HostileIssuer;
  beforeEach(async () => {
    hostile = await HostileIssuer.create(lease);
    hostile.world.ahead = lease + 600;
    const now = hostile.world.ports.now();
    // Eve keeps signing fresh checkpoints: what is refused below is not refused because it is stale.
    await hostile.follower.until((trust) => trust.age(now) < 1);
  });
  afterEach(() => hostile.close());

  test('nothing is minted any more, dated today or in the time of the lease', async () => {
    expect(await hostile.outcome(hostile.envelope())).toBe('mint_not_trusted');
    const backdated = { iat: hostile.ledger.time + lease - 500, exp: hostile.ledger.time + lease };
    expect(await hostile.outcome(hostile.envelope(backdated))).toBe('envelope_expired');
    const stretched = { iat: hostile.ledger.time + lease - 500, exp: hostile.ledger.time + lease + 900 };
    expect(await hostile.outcome(hostile.envelope(stretched))).toBe('mint_not_trusted');
  });

  test('no entry of hers is applied, and one with an old time is noticed', async () => {
    const op: Operation = {
      type: 'principal.provision',
      groups: ['interns'],
      attributes: {},
      sponsor: false,
      domain: testDomain,
    };
    const start = hostile.ledger.time;
    hostile.ledger.time = Math.floor(hostile.world.ports.now());
    expect(await hostile.tries(op)).toEqual(['rule_lease_ended', 'rule_lease_ended']);
    const before = hostile.ledger.sign({ op }, hostile.eve, [], { time: start - 1 });
    expect(await hostile.write(before)).toBe('rule_time_backwards');
    expect(hostile.follower.halted).toBeUndefined();

    // Nobody but Eve has written since the lease ended, so the time of the log itself does not contradict her.
    const backdated = hostile.ledger.sign({ op }, hostile.eve, [], { time: start + lease - 10 });
    expect(await hostile.posted(backdated)).toBe('entry_time_off');
    await expect(hostile.write(backdated)).rejects.toMatchObject({ code: 'entry_backdated' });
    expect(hostile.follower.halted?.code).toBe('entry_backdated');
    expect(hostile.follower.trust.read(`principal/${principalIdOf(backdated)}`)).toBeUndefined();
    expect(await hostile.outcome(hostile.envelope())).toBe('trust_stale');
  });
});
