import {
  type Access,
  createVerifier,
  memoryReplay,
  Refusal,
  type ReplayStore,
  type Resource,
} from '@bulla/verifier';
import type { TrustView } from '@bulla/verifier/log';
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience, notesPolicy, outcomeOf, readNote } from '../kit/api.ts';

// Law 4: unknown is refused, an error is a deny. Each thing a decision depends on is broken in turn; the answer is a
// refusal with a code, never an allow and never a bare error.

let world: ApiWorld;
beforeEach(async () => {
  world = new ApiWorld();
  expect(await world.outcome(world.envelope())).toBe('allow');
});

const broken = (): never => {
  throw new Error('broken');
};
const request = () => world.request({ envelope: world.envelope() });
const withTrust = (change: Partial<TrustView>) => {
  const { trust } = world;
  const view: TrustView = {
    account: trust.account,
    size: trust.size,
    root: trust.root,
    read: trust.read,
    age: (now) => trust.age(now),
    policySet: (digest) => trust.policySet(digest),
    stopped: (key) => trust.stopped(key),
    ...change,
  };
  return outcomeOf(world.verifierWith({ trust: view }).decide(request(), readNote()));
};

describe('law 4: the view of the trust log', () => {
  test('as it is, allows', async () => {
    expect(await withTrust({})).toBe('allow');
  });

  test.each<[string, Partial<TrustView>, string]>([
    ['throws on every record', { read: broken }, 'internal_error'],
    ['throws when asked for stops', { stopped: broken }, 'internal_error'],
    ['throws when asked for the policy set', { policySet: broken }, 'internal_error'],
    ['throws when asked for its age', { age: broken }, 'receipt_failed'],
    ['does not know its age', { age: () => Number.NaN }, 'trust_stale'],
    ['is infinitely old', { age: () => Number.POSITIVE_INFINITY }, 'trust_stale'],
    ['has no records', { read: () => undefined }, 'audience_not_active'],
    ['has no policy set', { policySet: () => undefined }, 'policy_unavailable'],
    ['has another policy set', { policySet: () => ({ ...notesPolicy, policies: {} }) }, 'policy_unavailable'],
    [
      'has a policy set of a later version',
      { policySet: () => ({ ...notesPolicy, version: 2 }) as never },
      'policy_invalid',
    ],
    ['says that everything is stopped', { stopped: () => true }, 'audience_not_active'],
  ])('that %s refuses', async (_, change, code) => {
    expect(await withTrust(change)).toBe(code);
  });

  test.each(['audience/', 'slot/', 'delegate/', 'principal/', 'agent/', 'key/', 'group/', 'revoked/'])(
    'that throws on %s… refuses',
    async (prefix) => {
      const read: TrustView['read'] = (key) => (key.startsWith(prefix) ? broken() : world.trust.read(key));
      expect(await withTrust({ read })).toBe('internal_error');
    },
  );

  test.each<[string, string]>([
    ['audience/', 'audience_not_active'],
    ['slot/', 'policy_retired'],
    ['delegate/', 'mint_not_trusted'],
    ['principal/', 'subject_not_active'],
    ['agent/', 'agent_not_active'],
    ['key/', 'mint_not_trusted'],
    ['group/', 'deny'],
  ])('that has lost %s… does not allow', async (prefix, code) => {
    const read: TrustView['read'] = (key) => (key.startsWith(prefix) ? undefined : world.trust.read(key));
    expect(await withTrust({ read })).toBe(code);
  });
});

describe('law 4: the replay store', () => {
  test.each<[string, ReplayStore['claim'], string]>([
    ['throws', broken, 'internal_error'],
    ['rejects', async () => broken(), 'internal_error'],
    [
      'says that it is unavailable',
      async () => {
        throw new Refusal('replay_store_unavailable', 'down');
      },
      'replay_store_unavailable',
    ],
    ['answers `false`', () => false as never, 'replay_store_unavailable'],
    ['answers `true`', async () => true as never, 'replay_store_unavailable'],
    ['answers `null`', async () => null as never, 'replay_store_unavailable'],
  ])('that %s refuses', async (_, claim, code) => {
    expect(await outcomeOf(world.verifierWith({ replay: { claim } }).decide(request(), readNote()))).toBe(
      code,
    );
  });

  test('that is full refuses, whatever the key', async () => {
    const replay = memoryReplay({ processes: 1, startedAt: world.now - 3600, capacity: 1, perKey: 1 });
    const verifier = world.verifierWith({ replay });
    expect(await outcomeOf(verifier.decide(request(), readNote()))).toBe('allow');
    expect(['replay_store_full', 'replay_quota_reached']).toContain(
      await outcomeOf(verifier.decide(request(), readNote())),
    );
  });
});

describe('law 4: the route', () => {
  const note = readNote();
  const mapped = (resource: unknown): Access => ({ ...note, resource: () => resource as Resource });

  test.each<[string, () => Access, string]>([
    ['throws', () => ({ ...note, resource: broken }), 'internal_error'],
    ['rejects', () => ({ ...note, resource: async () => broken() }), 'internal_error'],
    ['refuses', () => ({ ...note, resource: () => refuse() }), 'route_input_invalid'],
    ['names nothing', () => mapped(undefined), 'entity_missing'],
    ['names null', () => mapped(null), 'entity_missing'],
    ['throws for the context', () => ({ ...note, context: broken }), 'internal_error'],
  ])('whose mapper %s refuses', async (_, access, code) => {
    expect(await outcomeOf(world.decide(request(), access()))).toBe(code);
    expect(await world.outcome(world.envelope())).toBe('allow');
  });

  test.each<[string, unknown]>([
    ['text', 'note'],
    ['an empty object', {}],
    ['a type the schema lacks', { type: 'Nowhere', id: '1' }],
    ['an id that is no text', { type: 'Note', id: 1 }],
    ['an attribute the schema lacks', { type: 'Note', id: '1', attributes: { open: true } }],
    ['an ancestor that cannot be one', { type: 'Note', id: '1', ancestors: [{ type: 'Note', id: '2' }] }],
    ['too many ancestors', { type: 'Note', id: '1', ancestors: folders(17) }],
  ])('that names %s refuses', async (_, resource) => {
    const outcome = await outcomeOf(world.decide(request(), mapped(resource)));
    expect(outcome).toMatch(/^(?:entity_|value_|request_not_in_schema|policy_invalid|internal_error)/u);
    expect(world.receipts.at(-1)?.outcome).toBe('refuse');
  });

  test.each<[string, string]>([
    ['an action that nobody published', 'delete'],
    ['no action', ''],
    ['a name of every object', '__proto__'],
  ])('that asks for %s refuses', async (_, action) => {
    expect(await outcomeOf(world.decide(request(), { ...note, action }))).toBe('action_unknown');
  });

  test('with context values that the schema does not declare refuses', async () => {
    const access = { ...note, context: () => ({ admin: true }) };
    expect(await outcomeOf(world.decide(request(), access))).toBe('value_invalid');
  });

  test('with a permit among its forbids refuses', async () => {
    const all = { op: 'All' } as const;
    const permit: PolicyJson = {
      effect: 'permit',
      principal: all,
      action: all,
      resource: all,
      conditions: [],
    };
    expect(await outcomeOf(world.decide(request(), note, { forbids: [permit] }))).toBe('narrow_not_forbid');
  });
});

function refuse(): never {
  throw new Refusal('route_input_invalid', 'not a note');
}

function folders(count: number): Resource[] {
  return Array.from({ length: count }, (_, index) => ({ type: 'Folder', id: String(index) }));
}

describe('law 4: the policy set', () => {
  test('that does not fit its schema decides nothing', async () => {
    const all = { op: 'All' } as const;
    const bad: PolicyJson = {
      effect: 'forbid',
      principal: all,
      action: all,
      resource: all,
      conditions: [{ kind: 'when', body: { '.': { left: { Var: 'context' }, attr: 'nowhere' } } }],
    };
    world.publish({ ...notesPolicy, policies: { ...notesPolicy.policies, bad } });
    expect(await world.outcome(world.envelope())).toBe('policy_error');
    world.publish(notesPolicy);
    expect(await world.outcome(world.envelope())).toBe('allow');
  });

  test('without a policy denies', async () => {
    world.publish({ ...notesPolicy, policies: {} });
    expect(await world.outcome(world.envelope())).toBe('deny');
  });

  test('of an overlap that is not here refuses, though the current one would allow', async () => {
    const before = world.ledger.read('slot/main')?.digest ?? '';
    world.publish(
      {
        ...notesPolicy,
        policies: { ...notesPolicy.policies },
        schema: { ...notesPolicy.schema, Extra: { entityTypes: {}, actions: {} } },
      },
      world.ledger.time + 3600,
    );
    expect(await world.outcome(world.envelope())).toBe('allow');
    world.documents.delete(before);
    expect(await world.outcome(world.envelope())).toBe('policy_unavailable');
  });
});

describe('law 4: the sink of receipts', () => {
  test('that throws refuses what was allowed, denied or refused', async () => {
    const verifier = world.verifierWith({ onReceipt: broken });
    expect(await outcomeOf(verifier.decide(request(), readNote()))).toBe('receipt_failed');
    expect(await outcomeOf(verifier.decide(request(), readNote('1', 'secret')))).toBe('receipt_failed');
    const forged = world.request({ envelope: 'a.b.c' });
    expect(await outcomeOf(verifier.decide(forged, readNote()))).toBe('receipt_failed');
  });
});

describe('law 4: the clock', () => {
  test.each<[string, () => number]>([
    ['throws', broken],
    ['says NaN', () => Number.NaN],
    ['says infinity', () => Number.POSITIVE_INFINITY],
    ['says minus infinity', () => Number.NEGATIVE_INFINITY],
    ['says nothing', () => undefined as never],
  ])('that %s refuses, with a receipt, and nothing of it remains', async (_, tell) => {
    let now: () => number = () => world.now;
    const receipts: string[] = [];
    const verifier = createVerifier({
      account: world.ledger.account,
      audience,
      publicOrigins: [audience],
      trust: world.trust,
      replay: memoryReplay({ processes: 1, startedAt: world.now - 3600 }),
      ports: { now: () => now() },
      onReceipt: ({ outcome }) => receipts.push(outcome),
    });
    expect(await outcomeOf(verifier.decide(request(), readNote()))).toBe('allow');
    now = tell;
    expect(await outcomeOf(verifier.decide(request(), readNote()))).toBe('internal_error');
    now = () => world.now;
    expect(await outcomeOf(verifier.decide(request(), readNote()))).toBe('allow');
    expect(receipts).toEqual(['allow', 'refuse', 'allow']);
  });

  test('that stands still at zero refuses', async () => {
    world.now = 0;
    const verifier = world.verifierWith({});
    expect(await outcomeOf(verifier.decide(request(), readNote()))).not.toBe('allow');
  });
});
