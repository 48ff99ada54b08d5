import { createSigner, generatePrivateJwk, type Signer } from '@bulla/verifier';
import { bindingOf, type RootClaims, signBlock, signJws, signRoot } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { readNote } from '../kit/api.ts';
import { FederatedWorld, githubClaims, OutsideIssuer } from '../kit/federation.ts';
import { newSigner } from '../kit/log.ts';

// Law 2 where no key is in the log: Eve has the mint key, and every outside token that the issuer ever saw.

interface Attempt {
  readonly claims: Partial<RootClaims>;
  /** Who proves; by default the key that Eve made. */
  readonly prover?: Signer;
}

const outside = new OutsideIssuer();
const eve = newSigner();

/** Whether Eve, with the mint key, gets what `attempt` says past the verifier. */
async function outcome(attempt: (world: FederatedWorld) => Attempt): Promise<string> {
  const world = new FederatedWorld(outside);
  const { claims, prover = eve } = attempt(world);
  return world.outcome(signRoot(world.claims(claims), world.mint), undefined, prover);
}

const eveJwk = { jwk: eve.publicKey.jwk };

describe('law 2: a mint key does not stand in for an outside issuer', () => {
  test('an honest token, for the key that it names', async () => {
    expect(await outcome((world) => ({ claims: world.federated(), prover: world.job }))).toBe('allow');
  });

  test.each<[string, (world: FederatedWorld) => Attempt, string]>([
    ['without a token', () => ({ claims: { key: 'federated', cnf: eveJwk } }), 'envelope_claim_invalid'],
    [
      'with a token that says nothing',
      (world) => ({ claims: world.carrying('a.b.c', eve) }),
      'federation_token_invalid',
    ],
    [
      "with the job's token and her own key",
      (world) => ({ claims: { ...world.federated(), cnf: eveJwk } }),
      'federation_not_bound',
    ],
    [
      'with a token that is bound to nobody',
      (world) => ({ claims: world.federated({ aud: 'https://sts.example' }, eve) }),
      'federation_not_bound',
    ],
    [
      'with a token for the same key in another account',
      (world) => ({ claims: world.federated({ aud: bindingOf('acct_x', eve.publicKey.thumbprint) }, eve) }),
      'federation_not_bound',
    ],
    [
      'with a token that she signed',
      (world) => {
        const own = new OutsideIssuer();
        const { trust = '' } = world.federated().federated ?? {};
        const token = own.token(world.outsideClaims({}, eve));
        return { claims: { key: 'federated', cnf: eveJwk, federated: { trust, token, jwk: own.jwk } } };
      },
      'federation_not_trusted',
    ],
    [
      'with a token that she signed and the key that is trusted',
      (world) => ({ claims: world.carrying(new OutsideIssuer().token(world.outsideClaims({}, eve)), eve) }),
      'federation_token_invalid',
    ],
    [
      'with the token of another repository, to which she may push',
      (world) => ({ claims: world.federated({ repository: 'eve/evil' }, eve) }),
      'federation_claims_mismatch',
    ],
    [
      'with a token of a pull request she opened',
      (world) => ({ claims: world.federated({ event_name: 'pull_request_target' }, eve) }),
      'federation_claims_mismatch',
    ],
    [
      'with an old token',
      (world) => ({
        claims: world.federated({ iat: world.now - 601, exp: world.now + 60 }),
        prover: world.job,
      }),
      'federation_time',
    ],
    [
      'with a token that had ended',
      (world) => ({ claims: world.federated({ exp: world.now - 1 }), prover: world.job }),
      'federation_time',
    ],
    [
      'for another agent',
      (world) => {
        const hers = world.ledger.agent(world.alice);
        return {
          claims: { ...world.federated(), client_id: hers.id, epoch: { principal: 1, agent: 0 } },
          prover: world.job,
        };
      },
      'federation_not_trusted',
    ],
    [
      'for another person',
      (world) => {
        const bob = world.ledger.person({ groups: ['staff'] });
        return {
          claims: { ...world.federated(), sub: bob.id, epoch: { principal: 1, agent: 0 } },
          prover: world.job,
        };
      },
      'agent_not_active',
    ],
    [
      'under a name that nobody trusted',
      (world) => {
        const { federated, ...rest } = world.federated();
        return {
          claims: { ...rest, ...(federated && { federated: { ...federated, trust: 'other' } }) },
          prover: world.job,
        };
      },
      'federation_not_trusted',
    ],
    [
      'under a trust that was withdrawn',
      (world) => {
        world.ledger.do({ type: 'federation.distrust', name: 'build' });
        return { claims: world.federated(), prover: world.job };
      },
      'federation_not_trusted',
    ],
    [
      'for a key that is in the log, revoked as it is',
      (world) => {
        const { signer } = world.agent;
        world.ledger.do({ type: 'key.revoke', key: signer.publicKey.thumbprint });
        return { claims: world.federated({}, signer), prover: signer };
      },
      'holder_key_not_live',
    ],
    [
      "for a key that is the agent's own",
      (world) => ({ claims: world.federated({}, world.agent.signer), prover: world.agent.signer }),
      'holder_key_not_live',
    ],
    [
      "for the mint's own key",
      (world) => ({ claims: world.federated({}, world.mint), prover: world.mint }),
      'holder_key_not_live',
    ],
  ])('%s', async (_name, attempt, code) => {
    expect(await outcome(attempt)).toBe(code);
  });

  test('for the person, without an agent', async () => {
    const world = new FederatedWorld(outside);
    const change = { ...world.federated(), epoch: { principal: 1 } };
    const { client_id: _agent, ...claims } = world.claims(change);
    expect(await world.outcome(signRoot(claims, world.mint), undefined, world.job)).toBe(
      'envelope_claim_invalid',
    );
  });

  test('with the `iat` of the root moved to where the token was young, no longer than an envelope lives', async () => {
    const world = new FederatedWorld(outside);
    const token = world.outside.token(world.outsideClaims());
    const iat = world.now;
    world.now += 500;
    const moved = { ...world.carrying(token), iat, exp: iat + 600 };
    expect(await world.outcome(world.envelope(moved), undefined, world.job)).toBe('allow');
    expect(await world.outcome(world.envelope({ ...moved, exp: iat + 601 }), undefined, world.job)).toBe(
      'mint_lifetime_exceeded',
    );
    world.now += 100;
    expect(await world.outcome(world.envelope(moved), undefined, world.job)).toBe('envelope_expired');
    const later = { ...world.carrying(token), iat: world.now, exp: world.now + 60 };
    expect(await world.outcome(world.envelope(later), undefined, world.job)).toBe('federation_time');
  });

  test('among several trusts she may choose, and gets what an admin said of that one', async () => {
    const world = new FederatedWorld(outside);
    const strict = {
      keys: [outside.thumbprint],
      claims: { repository: 'octo-org/octo-repo', ref: 'refs/heads/release' },
    };
    const release = world.ledger.agent(world.alice);
    world.ledger.trustOutside(release, { ...strict, name: 'release' });
    const { federated, ...rest } = world.federated();
    const choose = (trust: string, agent: string): Partial<RootClaims> => ({
      ...rest,
      client_id: agent,
      ...(federated && { federated: { ...federated, trust } }),
    });
    const attempts = [
      ['build', world.agent.id, 'allow'],
      ['release', release.id, 'federation_claims_mismatch'],
      ['build', release.id, 'federation_not_trusted'],
      ['release', world.agent.id, 'federation_not_trusted'],
    ] as const;
    for (const [trust, agent, code] of attempts) {
      const envelope = world.envelope(choose(trust, agent));
      expect([trust, await world.outcome(envelope, undefined, world.job)]).toEqual([trust, code]);
    }
  });
});

describe('law 2: a mint key vouches for what admins listed', () => {
  const vouched = (change: Partial<RootClaims> = {}): Partial<RootClaims> => ({
    cnf: eveJwk,
    key: 'vouched',
    ...change,
  });

  test('and for nothing else, whatever the envelope calls itself', async () => {
    const world = new FederatedWorld(outside);
    world.vouch('read');
    const envelope = world.envelope(vouched());
    expect(await world.outcome(envelope, readNote('1', 'open', 'write'), eve)).toBe('action_not_vouched');
    expect(await world.outcome(envelope, readNote(), eve)).toBe('allow');
    expect(await world.outcome(world.envelope(vouched({ key: 'logged' })), undefined, eve)).toBe(
      'envelope_claim_invalid',
    );
    expect(await world.outcome(world.envelope(vouched({ key: 'federated' })), undefined, eve)).toBe(
      'envelope_claim_invalid',
    );
  });

  test('not for an agent of which nothing is listed', async () => {
    const world = new FederatedWorld(outside);
    world.vouch('read');
    const other = world.ledger.agent(world.alice);
    const envelope = world.envelope(vouched({ client_id: other.id }));
    expect(await world.outcome(envelope, undefined, eve)).toBe('action_not_vouched');
  });

  test('not for a person', async () => {
    const world = new FederatedWorld(outside);
    const { client_id: _agent, ...claims } = world.claims(vouched({ epoch: { principal: 1 } }));
    expect(await world.outcome(signRoot(claims, world.mint), undefined, eve)).toBe('envelope_claim_invalid');
  });

  test('not for a key that is in the log', async () => {
    const world = new FederatedWorld(outside);
    world.vouch('read', 'write');
    const bob = world.ledger.person();
    for (const { signer } of [world.agent, world.alice, bob, { signer: world.ledger.admin }]) {
      const envelope = world.envelope(vouched({ cnf: { jwk: signer.publicKey.jwk } }));
      expect(await world.outcome(envelope, undefined, signer)).toBe('holder_key_not_live');
    }
  });

  test('handed to a key in the log, it does no more', async () => {
    const world = new FederatedWorld(outside);
    const block = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth: 1 };
    const envelope = signBlock(world.envelope(vouched()), block, eve);
    expect(await world.outcome(envelope)).toBe('action_not_vouched');
  });
});

describe('law 2: nobody but admins trusts or vouches', () => {
  test.each<[string, (world: FederatedWorld) => Operation]>([
    [
      'federation.trust',
      (world) => ({
        type: 'federation.trust',
        name: 'eve',
        issuer: 'https://eve.example',
        profile: 'oidc',
        keys: [new OutsideIssuer().thumbprint],
        claims: { sub: 'eve' },
        agent: world.agent.id,
      }),
    ],
    ['federation.distrust', () => ({ type: 'federation.distrust', name: 'build' })],
    ['agent.vouch', (world) => ({ type: 'agent.vouch', agent: world.agent.id, actions: ['write'] })],
  ])('%s', (_type, make) => {
    const world = new FederatedWorld(outside);
    const { ledger, mint, agent, alice } = world;
    const op = make(world);
    expect(ledger.force(ledger.sign({ op }, mint))).toBe('rule_not_permitted');
    for (const { signer } of [agent, alice]) {
      const request = ledger.signRequest(op, `agent/${agent.id}`, signer);
      expect(ledger.force(ledger.sign({ request }))).toBe('rule_not_permitted');
    }
  });
});

test('law 2: a root of another form than its kind of key is refused', async () => {
  const world = new FederatedWorld(outside);
  const { federated, ...rest } = world.federated();
  const jkt = { jkt: world.job.publicKey.thumbprint };
  const { jwk } = { jwk: world.job.publicKey.jwk };
  const token = outside.token(githubClaims('x', world.now));
  const mint = (change: object): string => {
    const claims = { ...world.claims(), ...change };
    return signJws('bulla+jwt', { kid: world.mint.publicKey.thumbprint }, claims, world.mint);
  };
  const rows: readonly (readonly [object, string])[] = [
    [{ ...rest, federated, cnf: jkt }, 'envelope_claim_invalid'],
    [{ ...rest, federated, cnf: { ...jkt, jwk } }, 'envelope_claim_invalid'],
    [{ ...rest, federated: { ...federated, more: 1 } }, 'envelope_claim_invalid'],
    [{ ...rest, federated: { trust: 'build', token } }, 'envelope_claim_invalid'],
    [{ ...rest, federated: { ...federated, trust: '../admin/x' } }, 'envelope_claim_invalid'],
    [{ ...rest, federated: { ...federated, token: 'x'.repeat(4097) } }, 'envelope_claim_invalid'],
    [{ ...rest, federated: { ...federated, jwk: { ...outside.jwk, kid: 'k' } } }, 'key_invalid'],
    [{ ...rest, federated: { ...federated, jwk: { kty: 'oct', k: 'AAAA' } } }, 'key_invalid'],
    [{ ...rest, federated, vouched: {} }, 'envelope_claim_invalid'],
    [{ ...rest, key: 'vouched', federated }, 'envelope_claim_invalid'],
    [{ ...rest, key: 'vouched', vouched: { trust: 'build', more: 1 } }, 'envelope_claim_invalid'],
    [{ ...rest, key: 'vouched', vouched: [] }, 'envelope_claim_invalid'],
    [{ key: 'vouched', cnf: jkt }, 'envelope_claim_invalid'],
    [{ key: 'logged', federated }, 'envelope_claim_invalid'],
    [{ key: 'logged', vouched: {} }, 'envelope_claim_invalid'],
    [{ key: 'logged', cnf: { jwk } }, 'envelope_claim_invalid'],
    [{ key: 'attested', cnf: { jwk } }, 'envelope_claim_invalid'],
    [{ key: 'vouched', cnf: { jwk: { ...jwk, kid: 'k' } } }, 'action_not_vouched'],
  ];
  for (const [change, code] of rows) {
    expect([change, await world.outcome(mint(change), undefined, world.job)]).toEqual([change, code]);
  }
});

test('law 2: a small-order or private holder key is refused where it comes in', async () => {
  const world = new FederatedWorld(outside);
  const weak = { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } as const;
  expect(await world.outcome(world.envelope({ key: 'vouched', cnf: { jwk: weak } }), undefined, eve)).toBe(
    'key_invalid',
  );
  const secret = generatePrivateJwk();
  const whole = world.envelope({ key: 'vouched', cnf: { jwk: secret } });
  expect(await world.outcome(whole, undefined, createSigner(secret))).toBe('key_invalid');
});
