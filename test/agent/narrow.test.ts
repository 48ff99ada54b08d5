import {
  type AgentCode,
  AgentError,
  type Narrowing,
  type NarrowingSurroundings,
  narrowEnvelope,
  type Only,
} from '@bulla/agent';
import type { Access, Signer } from '@bulla/verifier';
import { inspect, type Json, narrowTo } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';

const all = { op: 'All' } as const;
const request = {
  type: 'Record',
  attributes: { method: { type: 'String' }, path: { type: 'String' } },
} as const;
const takes = (attributes: object) => ({
  principalTypes: ['User'],
  resourceTypes: ['Order'],
  context: { type: 'Record', attributes },
});

/** Everything is permitted: what is denied below, a narrowing denied. */
const document: PolicySetDocument = {
  version: 1,
  policies: { any: { effect: 'permit', principal: all, action: all, resource: all, conditions: [] } },
  schema: {
    '': {
      entityTypes: {
        User: { memberOfTypes: ['Group'] },
        Group: { memberOfTypes: ['Group'] },
        Team: {},
        Order: { memberOfTypes: ['Team'] },
      },
      actions: {
        reading: {},
        read: { memberOf: [{ id: 'reading' }], appliesTo: takes({ request }) },
        pay: { appliesTo: takes({ request, amount: { type: 'Long' } }) },
        list: { appliesTo: takes({}) },
      },
    },
  },
};
const world = new ApiWorld({ policy: document });
const holder: Signer = world.agent.signer;
const surroundings: NarrowingSurroundings = { schema: document, ports: { now: () => world.now } };

interface Asked {
  readonly action?: string;
  readonly path?: string;
  readonly order?: string;
  readonly team?: string;
  readonly amount?: number;
}

function accessOf({ action = 'read', order = '1', team = 'blue', amount = 10 }: Asked): Access {
  const resource = { type: 'Order', id: order, ancestors: [{ type: 'Team', id: team }] };
  return {
    action,
    resource: () => resource,
    ...(action === 'pay' && { context: () => ({ amount }) }),
  };
}

async function decided(envelope: string, asked: Asked = {}, signer: Signer = holder): Promise<string> {
  const wire = world.request({ envelope, signer, url: asked.path ?? '/orders/1' });
  return outcomeOf(world.decide(wire, accessOf(asked)));
}

const narrowed = async (narrowing: Narrowing, given = surroundings): Promise<string> =>
  (await narrowEnvelope(world.envelope(), { holder, ...narrowing }, given)).envelope;

async function failure(run: () => Promise<unknown>): Promise<AgentError> {
  const error: unknown = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AgentError) return error;
  throw error ?? new Error('nothing was refused');
}
const refused = async (narrowing: Narrowing, given = surroundings): Promise<AgentCode> =>
  (await failure(() => narrowed(narrowing, given))).code;

describe('what is still let through', () => {
  test.each<[string, Only, readonly Asked[], readonly Asked[]]>([
    ['actions', { actions: ['read'] }, [{}], [{ action: 'pay' }, { action: 'list' }]],
    ['a group of actions', { actions: ['reading'] }, [{}], [{ action: 'pay' }]],
    ['resources', { resources: [{ type: 'Order', id: '1' }] }, [{}], [{ order: '2' }]],
    [
      'what is in a resource',
      { resources: [{ type: 'Team', id: 'blue' }] },
      [{ order: '2' }],
      [{ team: 'red' }],
    ],
    [
      'amounts',
      { max: { amount: 100 } },
      [
        { action: 'pay', amount: 100 },
        { action: 'pay', amount: -1 },
      ],
      [{ action: 'pay', amount: 101 }, { action: 'read' }],
    ],
    [
      'a path',
      { pathPrefix: '/orders' },
      [{ path: '/orders' }, { path: '/orders/' }, { path: '/orders/1?x=/other' }],
      [
        { path: '/orders-old' },
        { path: '/order' },
        { path: '/Orders/1' },
        { path: '/x/orders/1' },
        { action: 'list' },
      ],
    ],
    [
      'all of it together',
      {
        actions: ['pay'],
        resources: [{ type: 'Team', id: 'blue' }],
        pathPrefix: '/orders/',
        max: { amount: 5 },
      },
      [{ action: 'pay', amount: 5 }],
      [
        { action: 'pay', amount: 6 },
        { action: 'pay', amount: 5, team: 'red' },
        { action: 'pay', amount: 5, path: '/o' },
        {},
      ],
    ],
  ])('%s', async (_, only, inside, outside) => {
    const envelope = await narrowed({ only });
    for (const asked of inside) expect([asked, await decided(envelope, asked)]).toEqual([asked, 'allow']);
    for (const asked of outside) expect([asked, await decided(envelope, asked)]).toEqual([asked, 'deny']);
  });

  test.each<[prefix: string, inside: readonly string[], outside: readonly string[]]>([
    ['/', ['/', '/orders/1'], []],
    ['/orders/', ['/orders/', '/orders/1'], ['/orders']],
    ['/orders/1', ['/orders/1', '/orders/1/lines'], ['/orders/10', '/orders/1;v=2', '/orders/1%20']],
    ['/a*b', ['/a*b', '/a*b/c'], ['/ab', '/axb', '/a*bc']],
    ['/caf%c3%a9', ['/caf%C3%A9', '/caf%c3%a9/x'], ['/caf%C3%A8']],
    [`/a'$&+,;=:@!()~`, [`/a'$&+,;=:@!()~/x`], [`/a'$&+,;=:@!()~x`]],
  ])('the paths under %s', async (pathPrefix, inside, outside) => {
    const envelope = await narrowed({ only: { pathPrefix } });
    for (const path of inside) expect([path, await decided(envelope, { path })]).toEqual([path, 'allow']);
    for (const path of outside) expect([path, await decided(envelope, { path })]).toEqual([path, 'deny']);
  });

  test.each([
    '',
    'orders',
    '//orders',
    '/a/../b',
    '/a/.',
    '/a%2fb',
    '/a%2Fb',
    '/%61',
    '/a%',
    '/a%c',
    '/a?b',
    '/a#b',
    '/a\\b',
    '/é',
    '/a b',
    '/a"',
    'https://api.example/a',
  ])('no path is under `%s`: refused, since no request has such a path', async (pathPrefix) => {
    expect(await refused({ only: { pathPrefix } })).toBe('narrowing_invalid');
  });

  test('is shown as Cedar text', async () => {
    const only: Only = { actions: ['pay'], pathPrefix: '/a*b', max: { amount: 100 } };
    const { policies, envelope } = await narrowEnvelope(world.envelope(), { holder, only }, surroundings);
    expect(policies).toHaveLength(1);
    expect(policies[0]).toMatch(/^forbid\s*\(\s*principal,\s*action,\s*resource\s*\)\s*unless/u);
    expect(policies[0]).toContain('action in [Action::"pay"]');
    expect(policies[0]).toContain('context.amount <= 100');
    expect(policies[0]).toContain(String.raw`like "/a\*b/*"`);
    expect(inspect(envelope).blocks[0]?.narrow).toEqual(
      narrowTo([{ actions: ['pay'], pathPrefix: '/a*b', limits: { amount: 100 } }]),
    );
  });
});

describe('what else a block takes away', () => {
  test('life, audience, depth, and the next holder has it', async () => {
    const bob = newSigner();
    const both = [audience, 'https://other.example'];
    const base = world.envelope({ aud: both }, world.ledger.mint(both));
    const { envelope, policies } = await narrowEnvelope(
      base,
      { holder, next: bob.publicKey.jwk, expiresAt: world.now + 20.5, audiences: [audience], depth: 1 },
      { ports: { now: () => world.now } },
    );
    expect(policies).toEqual([]);
    expect(inspect(envelope)).toMatchObject({
      blocks: [{ holder: bob.publicKey.thumbprint }],
      effective: { aud: [audience], exp: world.now + 20, depth: 1 },
    });
    expect(await decided(envelope, {}, bob)).toBe('allow');
    expect(await decided(envelope)).toBe('proof_key_mismatch');
  });

  test('a time after the end of the envelope leaves that end', async () => {
    expect(inspect(await narrowed({ expiresAt: world.now + 9000 })).effective.exp).toBe(world.now + 300);
  });

  test('sealed, it goes no further', async () => {
    const envelope = await narrowed({ seal: true });
    expect(await decided(envelope)).toBe('allow');
    expect((await failure(() => narrowEnvelope(envelope, { holder }))).code).toBe('envelope_sealed');
  });

  test('a `forbid` of its own', async () => {
    const forbid: Json = { effect: 'forbid', principal: all, action: all, resource: all, conditions: [] };
    expect(await decided(await narrowed({ forbids: [forbid] }))).toBe('deny');
  });
});

describe('is refused before it is signed', () => {
  const forbid = { effect: 'forbid', principal: all, action: all, resource: all, conditions: [] } as const;
  test.each<[string, Narrowing, string]>([
    ['an action the schema lacks', { only: { actions: ['raed'] } }, 'policy_not_valid'],
    ['a resource type it lacks', { only: { resources: [{ type: 'Odrer', id: '1' }] } }, 'policy_not_valid'],
    ['an attribute it lacks', { only: { max: { amuont: 1 } } }, 'policy_not_valid'],
    [
      'an attribute that the actions lack',
      { only: { actions: ['list'], max: { amount: 1 } } },
      'policy_not_valid',
    ],
    [
      'a path for actions that are not told it',
      { only: { actions: ['list'], pathPrefix: '/a' } },
      'policy_not_valid',
    ],
    ['nothing', { only: {} }, 'authorization_details_invalid'],
    ['no action', { only: { actions: [] } }, 'authorization_details_invalid'],
    ['no resource', { only: { resources: [] } }, 'authorization_details_invalid'],
    ['no amount', { only: { max: {} } }, 'authorization_details_invalid'],
    ['a fraction', { only: { max: { amount: 1.5 } } }, 'authorization_details_invalid'],
    ['an unknown member', { only: { action: ['read'] } as never }, 'authorization_details_invalid'],
    ['a `permit`', { forbids: [{ ...forbid, effect: 'permit' }] }, 'narrow_not_forbid'],
    [
      'a `forbid` of an unknown action',
      { forbids: [{ ...forbid, action: { op: '==', entity: { type: 'Action', id: 'x' } } }] },
      'policy_not_valid',
    ],
    ['what is no policy', { forbids: [{}] }, 'policy_invalid'],
    ['too many', { forbids: Array.from({ length: 65 }, () => forbid) }, 'narrow_too_large'],
    ['an audience more', { audiences: [audience, 'https://other.example'] }, 'envelope_widened'],
    ['no audience', { audiences: [] }, 'envelope_claim_invalid'],
    ['the same depth', { depth: 4 }, 'envelope_widened'],
    ['a depth below zero', { depth: -1 }, 'envelope_claim_invalid'],
    ['a next key that is none', { next: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' } }, 'key_invalid'],
  ])('%s', async (_, narrowing, reason) => {
    let signed = 0;
    const spied: Signer = {
      ...holder,
      sign: (data) => {
        signed += 1;
        return holder.sign(data);
      },
    };
    const { code, reason: why } = await failure(() =>
      narrowEnvelope(world.envelope(), { holder: spied, ...narrowing }, surroundings),
    );
    expect([code, why]).toEqual(['narrowing_invalid', reason]);
    if ('only' in narrowing || 'forbids' in narrowing) expect(signed).toBe(0);
  });

  test.each<[string, Narrowing]>([
    ['a time that has passed', { expiresAt: world.now }],
    ['what is no time', { expiresAt: Number.NaN }],
    ['a member that is none', { until: world.now + 9 } as never],
    ['a seal that is not `true`', { seal: 'yes' } as never],
    ['a seal with a depth', { seal: true, depth: 1 }],
    ['`limits`, which is called `max` here', { only: { limits: { amount: 1 } } as never }],
  ])('%s', async (_, narrowing) => {
    expect(await refused(narrowing)).toBe('narrowing_invalid');
  });

  test('what would be longer than the API takes', async () => {
    const forbids = [forbid];
    const short = await failure(() => narrowed({ forbids }, { ...surroundings, maxEnvelopeBytes: 900 }));
    expect([short.code, short.reason]).toEqual(['narrowing_invalid', 'envelope_too_large']);
  });

  test('by another key, of another text, too late', async () => {
    const code = async (envelope: string, by: Signer): Promise<AgentCode> =>
      (await failure(() => narrowEnvelope(envelope, { holder: by }, surroundings))).code;
    expect(await code(world.envelope(), newSigner())).toBe('envelope_not_ours');
    expect(await code('x.y.z', holder)).toBe('envelope_malformed');
    expect(await code(world.envelope({ iat: world.now - 60, exp: world.now }), holder)).toBe(
      'envelope_expired',
    );
  });
});

describe('wrong inputs', () => {
  const wrong: readonly unknown[] = [
    null,
    true,
    0,
    -1,
    1.5,
    Number.NaN,
    '',
    'x',
    [],
    [null],
    {},
    { a: 1 },
    [[]],
    2n,
    () => 1,
  ];
  const members = ['next', 'only', 'forbids', 'expiresAt', 'audiences', 'depth'] as const;
  const onlys = ['actions', 'resources', 'pathPrefix', 'max'] as const;
  test.each(members)('of `%s` are refused with a code', async (member) => {
    for (const value of wrong) {
      if ((member === 'depth' && value === 0) || (member === 'forbids' && String(value) === '')) continue;
      expect([member, value, await refused({ [member]: value } as never)]).toEqual([
        member,
        value,
        'narrowing_invalid',
      ]);
    }
  });
  test.each(onlys)('of `only.%s` are refused with a code', async (member) => {
    for (const value of wrong) {
      expect([value, await refused({ only: { [member]: value } } as never)]).toEqual([
        value,
        'narrowing_invalid',
      ]);
    }
  });
  test('of envelopes are refused with a code', async () => {
    for (const value of [undefined, ...wrong]) {
      const code = (await failure(() => narrowEnvelope(value as never, { holder }, surroundings))).code;
      expect([value, code]).toEqual([value, 'envelope_malformed']);
    }
  });
});

describe('the schema', () => {
  const only: Only = { actions: ['read'] };
  test('may be a policy set or the schema of one', async () => {
    const given = { ...surroundings, schema: document.schema };
    expect(await narrowed({ only }, given)).not.toBe('');
  });
  test('is needed for policies, and for nothing else', async () => {
    expect(await refused({ only }, { ports: { now: () => world.now } })).toBe('schema_missing');
    expect(await narrowed({ seal: true }, { ports: { now: () => world.now } })).not.toBe('');
  });
  test.each<[string, unknown]>([
    ['null', null],
    ['text', 'entity User;'],
    ['an unknown type', { '': { entityTypes: { A: { memberOfTypes: ['B'] } }, actions: {} } }],
  ])('is not %s', async (_, schema) => {
    expect(await refused({ only }, { ...surroundings, schema: schema as never })).toBe('schema_unusable');
  });
});
