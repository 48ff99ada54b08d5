import { createSigner, type Decision, generatePrivateJwk } from '@bulla/verifier';
import { bindingOf, type Json, type RootClaims, signBlock, signMintBlock } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { notesPolicy, outcomeOf, readNote } from '../../kit/api.ts';
import { FederatedWorld, OutsideIssuer } from '../../kit/federation.ts';
import { newSigner } from '../../kit/log.ts';

const forbid = (attr: string, value: string): Json => ({
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [
    {
      kind: 'when',
      body: { '==': { left: { '.': { left: { Var: 'context' }, attr } }, right: { Value: value } } },
    },
  ],
});

describe('a federated envelope', () => {
  test('is allowed what the policy allows, and the receipt says on what it stands', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.federated());
    expect(await world.outcome(envelope, undefined, world.job)).toBe('allow');
    expect(await world.outcome(envelope, readNote('1', 'secret'), world.job)).toBe('deny');
    const [receipt] = world.receipts;
    expect(receipt?.envelope).toMatchObject({
      key: 'federated',
      federation: 'build',
      actors: [world.alice.id, world.agent.id],
    });
    expect(JSON.stringify(receipt)).not.toContain('octo-org');
  });

  test('tells the handler how the key is known', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.federated());
    const decision: Decision = await world.decide(world.request({ envelope, signer: world.job }));
    expect(decision).toMatchObject({ allowed: true, grant: { key: 'federated', agent: world.agent.id } });
  });

  test('stands for an agent that has no key of its own', async () => {
    const world = new FederatedWorld();
    world.ledger.do({ type: 'key.revoke', key: world.agent.signer.publicKey.thumbprint });
    expect(world.ledger.read(`agent/${world.agent.id}`)?.keys).toEqual([]);
    expect(await world.outcome(world.envelope(world.federated()), undefined, world.job)).toBe('allow');
  });

  test.each(['RS256', 'ES384', 'EdDSA'] as const)('may carry a token under %s', async (kind) => {
    const world = new FederatedWorld(new OutsideIssuer(kind));
    expect(await world.outcome(world.envelope(world.federated()), undefined, world.job)).toBe('allow');
  });

  test('may be held by a P-256 key', async () => {
    const world = new FederatedWorld();
    const holder = createSigner(generatePrivateJwk('P-256'));
    expect(await world.outcome(world.envelope(world.federated({}, holder)), undefined, holder)).toBe('allow');
  });

  test('is decided anew when the trust changes, though its signatures are remembered', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.federated());
    const outcome = (): Promise<string> => world.outcome(envelope, undefined, world.job);
    expect(await outcome()).toBe('allow');
    const trusted = { keys: [world.outside.thumbprint] };
    world.ledger.trustOutside(world.agent, { keys: [new OutsideIssuer().thumbprint] });
    expect(await outcome()).toBe('federation_not_trusted');
    world.ledger.trustOutside(world.agent, { ...trusted, claims: { repository: 'octo-org/other' } });
    expect(await outcome()).toBe('federation_claims_mismatch');
    world.ledger.trustOutside(world.ledger.agent(world.alice), trusted);
    expect(await outcome()).toBe('federation_not_trusted');
    world.ledger.trustOutside(world.agent, trusted);
    expect(await outcome()).toBe('allow');
    world.stops.add('federation/build');
    expect(await outcome()).toBe('federation_not_trusted');
    world.stops.clear();
    world.ledger.do({ type: 'federation.distrust', name: 'build' });
    expect(await outcome()).toBe('federation_not_trusted');
  });

  test('ends with the agent, and with its owner', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.federated());
    world.ledger.do({ type: 'agent.suspend', agent: world.agent.id });
    expect(await world.outcome(envelope, undefined, world.job)).toBe('agent_not_active');
    const other = new FederatedWorld();
    const hers = other.envelope(other.federated());
    other.ledger.do({ type: 'principal.suspend', principal: other.alice.id });
    expect(await other.outcome(hers, undefined, other.job)).toBe('subject_not_active');
  });

  test('ends when its key enters the log, for whomever', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.federated());
    expect(await world.outcome(envelope, undefined, world.job)).toBe('allow');
    const subject = `agent/${world.agent.id}`;
    world.ledger.do({ type: 'key.add', subject, key: world.job.publicKey.jwk }, [world.job]);
    expect(await world.outcome(envelope, undefined, world.job)).toBe('holder_key_not_live');
  });

  test('ends when its key is stopped by hand, though no log knows it', async () => {
    const world = new FederatedWorld();
    world.stops.add(`key/${world.job.publicKey.thumbprint}`);
    expect(await world.outcome(world.envelope(world.federated()), undefined, world.job)).toBe(
      'holder_key_not_live',
    );
  });

  test('is good until it ends, whatever has become of the token by then', async () => {
    const world = new FederatedWorld();
    const iat = world.now;
    const envelope = world.envelope({ ...world.federated({ exp: iat + 10 }), iat, exp: iat + 600 });
    world.now += 500;
    expect(await world.outcome(envelope, undefined, world.job)).toBe('allow');
    world.now += 100;
    expect(await world.outcome(envelope, undefined, world.job)).toBe('envelope_expired');
  });
});

describe('a vouched envelope', () => {
  test('does what the record of the agent lists, and nothing else', async () => {
    const world = new FederatedWorld();
    const envelope = world.envelope(world.vouched());
    const outcome = (action: string): Promise<string> =>
      world.outcome(envelope, readNote('1', 'open', action), world.job);
    expect(await outcome('read')).toBe('action_not_vouched');
    world.vouch('read');
    expect(await outcome('read')).toBe('allow');
    expect(await outcome('write')).toBe('action_not_vouched');
    expect(world.receipts.at(-2)?.envelope).toMatchObject({ key: 'vouched' });
    expect(world.receipts.at(-2)?.envelope).not.toHaveProperty('federation');
    world.vouch('write');
    expect(await outcome('read')).toBe('action_not_vouched');
    expect(await outcome('write')).toBe('allow');
  });

  test('asks no route, and uses no proof up, for what is not listed', async () => {
    const world = new FederatedWorld();
    const request = world.request({ envelope: world.envelope(world.vouched()), signer: world.job });
    const access = { action: 'read', resource: () => expect.fail('the route was asked') };
    expect(await outcomeOf(world.decide(request, access))).toBe('action_not_vouched');
    world.vouch('read');
    expect(await outcomeOf(world.decide(request))).toBe('allow');
  });

  test('is refused while the route was asked, when the listing goes in between', async () => {
    const world = new FederatedWorld();
    world.vouch('read');
    const asked = readNote();
    const access = {
      ...asked,
      resource: () => {
        world.vouch();
        return asked.resource();
      },
    };
    expect(await world.outcome(world.envelope(world.vouched()), access, world.job)).toBe(
      'action_not_vouched',
    );
  });

  test('stands with the trust that it names', async () => {
    const world = new FederatedWorld();
    world.vouch('read');
    const envelope = world.envelope({ ...world.vouched(), vouched: { trust: 'build' } });
    const outcome = (text = envelope): Promise<string> => world.outcome(text, undefined, world.job);
    expect(await outcome()).toBe('allow');
    expect(world.receipts.at(-1)?.envelope?.federation).toBe('build');
    expect(await outcome(world.envelope({ ...world.vouched(), vouched: {} }))).toBe('allow');
    expect(await outcome(world.envelope({ ...world.vouched(), vouched: { trust: 'other' } }))).toBe(
      'federation_not_trusted',
    );
    world.ledger.trustOutside(world.ledger.agent(world.alice), { name: 'hers' });
    expect(await outcome(world.envelope({ ...world.vouched(), vouched: { trust: 'hers' } }))).toBe(
      'federation_not_trusted',
    );
    world.ledger.do({ type: 'federation.distrust', name: 'build' });
    expect(await outcome()).toBe('federation_not_trusted');
  });

  test('handed on, it is still vouched', async () => {
    const world = new FederatedWorld();
    const next = world.ledger.agent(world.alice);
    const block = { next: next.signer.publicKey.jwk, iat: world.now, depth: 1 };
    const envelope = signBlock(world.envelope(world.vouched()), block, world.job);
    expect(await world.outcome(envelope, undefined, next.signer)).toBe('action_not_vouched');
    world.vouch('read');
    expect(await world.outcome(envelope, undefined, next.signer)).toBe('allow');
    expect(world.receipts.at(-1)?.envelope?.key).toBe('vouched');
  });
});

describe('what the policy sees', () => {
  const federated = (claims: readonly string[]): object => ({
    type: 'Record',
    required: false,
    attributes: Object.fromEntries(claims.map((name) => [name, { type: 'String', required: false }])),
  });
  const context = {
    type: 'Record',
    attributes: {
      key: { type: 'String' },
      federated: federated(['repository', 'ref', 'run_attempt', 'labels', 'absent']),
    },
  };
  const action = { appliesTo: { principalTypes: ['User'], resourceTypes: ['Note'], context } };
  const { '': inner } = notesPolicy.schema as { '': object };
  const set = (policies: Readonly<Record<string, Json>>): PolicySetDocument =>
    ({
      version: 1,
      policies: { ...notesPolicy.policies, ...policies },
      schema: { '': { ...inner, actions: { read: action, write: action } } },
    }) as unknown as PolicySetDocument;
  const attribute = (name: string) => ({
    '.': { left: { '.': { left: { Var: 'context' }, attr: 'federated' } }, attr: name },
  });
  const has = (left: Json, attr: string): Json => ({ has: { left, attr } });
  const both = (left: Json, right: Json): Json => ({ '&&': { left, right } });
  const outsideOnly = (name: string, value: string): Json => ({
    effect: 'forbid',
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [
      {
        kind: 'unless',
        body: both(
          both(
            has({ Var: 'context' }, 'federated'),
            has({ '.': { left: { Var: 'context' }, attr: 'federated' } }, name),
          ),
          { '==': { left: attribute(name), right: { Value: value } } },
        ),
      },
    ],
  });

  test.each(['vouched', 'unlogged', 'federated', 'logged'])(
    'the weakest key in the chain: %s',
    async (kind) => {
      const world = new FederatedWorld(undefined, { policy: set({ no: forbid('key', kind) }) });
      world.vouch('read');
      const stranger = newSigner();
      const handOn = (envelope: string, from: typeof stranger): string =>
        signBlock(envelope, { next: stranger.publicKey.jwk, iat: world.now, depth: 1 }, from);
      const [fed, vouched] = [world.envelope(world.federated()), world.envelope(world.vouched())];
      const rows: readonly (readonly [string, string, typeof stranger])[] = [
        ['logged', world.envelope(), world.agent.signer],
        ['unlogged', handOn(world.envelope(), world.agent.signer), stranger],
        ['federated', fed, world.job],
        ['unlogged', handOn(fed, world.job), stranger],
        ['vouched', vouched, world.job],
        ['vouched', handOn(vouched, world.job), stranger],
      ];
      for (const [standing, envelope, signer] of rows) {
        expect([standing, await world.outcome(envelope, undefined, signer)]).toEqual([
          standing,
          standing === kind ? 'deny' : 'allow',
        ]);
      }
    },
  );

  test.each<[string, string, string, Readonly<Record<string, Json>>, string]>([
    ['a claim', 'repository', 'octo-org/octo-repo', {}, 'allow'],
    ['another value', 'ref', 'refs/heads/dev', {}, 'deny'],
    ['a number, as text', 'run_attempt', '3', { run_attempt: 3 }, 'allow'],
    ['a claim the token lacks', 'absent', '', {}, 'deny'],
    ['a list, which has no text', 'labels', 'a', { labels: ['a'] }, 'deny'],
    ['an object, which has none', 'labels', 'a', { labels: { __entity: { type: 'User', id: 'a' } } }, 'deny'],
    ['text with half a character', 'labels', 'a', { labels: '\ud800' }, 'value_invalid'],
  ])('%s of the outside token', async (_name, claim, value, claims, outcome) => {
    const world = new FederatedWorld(undefined, { policy: set({ only: outsideOnly(claim, value) }) });
    const envelope = world.envelope(world.federated(claims));
    expect(await world.outcome(envelope, undefined, world.job)).toBe(outcome);
    expect(await world.outcome(world.envelope())).toBe('deny');
  });

  test('a route cannot fill the attribute in', async () => {
    const world = new FederatedWorld(undefined, { policy: set({ only: outsideOnly('ref', 'x') }) });
    const access = { ...readNote(), context: () => ({ federated: { ref: 'x' } }) };
    expect(await world.outcome(world.envelope(), access)).toBe('value_invalid');
  });
});

describe('blocks after a federated root', () => {
  test('narrow it and hand it on, to the log and out of it', async () => {
    const world = new FederatedWorld();
    const [first, second] = [newSigner(), world.ledger.agent(world.alice)];
    let envelope = world.envelope(world.federated());
    envelope = signBlock(envelope, { next: first.publicKey.jwk, iat: world.now, depth: 3 }, world.job);
    envelope = signBlock(envelope, { next: second.signer.publicKey.jwk, iat: world.now, depth: 2 }, first);
    expect(await world.outcome(envelope, undefined, second.signer)).toBe('allow');
    expect(world.receipts.at(-1)?.envelope).toMatchObject({
      key: 'federated',
      actors: [world.alice.id, world.agent.id, 'unlogged', second.id],
    });
    expect(await world.outcome(envelope, undefined, world.job)).toBe('proof_key_mismatch');
  });

  test('by the mint take away, for the same holder', async () => {
    const world = new FederatedWorld();
    const narrow = [
      {
        effect: 'forbid',
        principal: { op: 'All' },
        action: { op: '==', entity: { type: 'Action', id: 'write' } },
        resource: { op: 'All' },
        conditions: [],
      },
    ];
    const block = { next: world.job.publicKey.jwk, iat: world.now, depth: 3, exp: world.now + 60, narrow };
    const envelope = signMintBlock(world.envelope(world.federated()), block, world.mint);
    const outcome = (action: string): Promise<string> =>
      world.outcome(envelope, readNote('1', 'open', action), world.job);
    expect(await outcome('read')).toBe('allow');
    expect(await outcome('write')).toBe('deny');
    expect(world.receipts.at(-1)?.envelope?.actors).toEqual([world.alice.id, world.agent.id]);
    world.now += 60;
    expect(await outcome('read')).toBe('envelope_expired');
  });

  test('by the mint fit after a logged root and after a block by a holder', async () => {
    const world = new FederatedWorld();
    const own = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth: 3 };
    const logged = signMintBlock(world.envelope(), own, world.mint);
    expect(await world.outcome(logged)).toBe('allow');
    const next = newSigner();
    const handed = signBlock(
      logged,
      { next: next.publicKey.jwk, iat: world.now, depth: 2 },
      world.agent.signer,
    );
    expect(await world.outcome(handed, undefined, next)).toBe('allow');
    const again = signMintBlock(handed, { next: next.publicKey.jwk, iat: world.now, depth: 1 }, world.mint);
    expect(await world.outcome(again, undefined, next)).toBe('allow');
  });
});

test('the binding in the token is of the account that the verifier believes', async () => {
  const world = new FederatedWorld();
  const aud = bindingOf('acct_other', world.job.publicKey.thumbprint);
  const envelope = world.envelope(world.federated({ aud }));
  expect(await world.outcome(envelope, undefined, world.job)).toBe('federation_not_bound');
});

test('a longer chain on a root that is known stands and falls with the trust', async () => {
  const world = new FederatedWorld();
  const root: Partial<RootClaims> = world.federated();
  const envelope = world.envelope(root);
  expect(await world.outcome(envelope, undefined, world.job)).toBe('allow');
  // A longer chain on the same root: the root's text was verified before, and the token in it.
  const next = newSigner();
  const longer = signBlock(envelope, { next: next.publicKey.jwk, iat: world.now, depth: 2 }, world.job);
  expect(await world.outcome(longer, undefined, next)).toBe('allow');
  world.ledger.do({ type: 'federation.distrust', name: 'build' });
  expect(await world.outcome(longer, undefined, next)).toBe('federation_not_trusted');
});
