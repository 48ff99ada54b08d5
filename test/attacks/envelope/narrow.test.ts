import { canonicalJson, type Json, type JsonObject, signBlock } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { ApiWorld, readNote } from '../../kit/api.ts';
import { newSigner } from '../../kit/log.ts';
import { signRaw, unpack } from '../../kit/wire.ts';

const all = { op: 'All' };
const scope = { effect: 'forbid', principal: all, action: all, resource: all };
const forbidAll = { ...scope, conditions: [] };
const when = (body: Json): JsonObject => ({ ...scope, conditions: [{ kind: 'when', body }] });
const holder = newSigner();

/** What reading a note comes to when the agent's own block carries this `narrow`. */
async function narrowed(
  narrow: readonly unknown[],
  world = new ApiWorld(),
  access = readNote(),
): Promise<string> {
  const block = { next: holder.publicKey.jwk, iat: world.now, depth: 1, narrow: [] };
  const [root = '', honest = ''] = signBlock(world.envelope(), block, world.agent.signer).split('~');
  const { header, claims } = unpack(honest);
  const payload = JSON.stringify({ ...claims, narrow });
  const envelope = `${root}~${signRaw(canonicalJson(header), payload, world.agent.signer)}`;
  return world.outcome(envelope, access, holder);
}

/** JSON text as a value, so that names like `__proto__` stay own members. */
const json = (text: string): unknown => JSON.parse(text);

test('an honest limit is obeyed', async () => {
  expect(await narrowed([])).toBe('allow');
  expect(await narrowed([forbidAll])).toBe('deny');
});

describe('a narrow cannot touch the admins’ policies', () => {
  test('by borrowing the id of one of them', async () => {
    const harmless = { ...when({ Value: false }), annotations: { id: 'no-secrets' } };
    expect(await narrowed([harmless])).toBe('allow');
    expect(await narrowed([harmless], new ApiWorld(), readNote('1', 'secret'))).toBe('deny');
    for (const id of ['p0', 'policy0', 'admin/no-secrets', 'staff-notes']) {
      const borrowed = { ...forbidAll, annotations: { id } };
      const world = new ApiWorld();
      expect(await narrowed([borrowed], world)).toBe('deny');
      const [reason] = world.receipts.at(-1)?.reasons ?? [];
      expect(reason).toMatchObject({ layer: 'narrow', policy: 'narrow/1#0' });
    }
  });

  test('by borrowing the id of another limit', async () => {
    const silent = { ...when({ Value: false }), annotations: { id: 'narrow/1#0' } };
    expect(await narrowed([forbidAll, silent])).toBe('deny');
    expect(await narrowed([silent, forbidAll])).toBe('deny');
    expect(await narrowed([silent, silent])).toBe('allow');
  });

  test('nor silence the limits of the API', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope({
      narrow: [{ ...when({ Value: false }), annotations: { id: 'api#0' } }],
    });
    const route = { forbids: [forbidAll as never] };
    const decision = await world.decide(world.request({ envelope }), readNote(), route);
    expect(decision).toMatchObject({ allowed: false, reasons: [{ layer: 'api' }] });
  });
});

describe('a permit is refused in every disguise', () => {
  test.each<[string, unknown, string]>([
    ['plain', { ...forbidAll, effect: 'permit' }, 'narrow_not_forbid'],
    ['capitalised', { ...forbidAll, effect: 'Permit' }, 'policy_invalid'],
    ['behind toJSON', { ...forbidAll, toJSON: { effect: 'permit' } }, 'policy_invalid'],
    [
      'behind __proto__',
      json(`{"__proto__":{"effect":"permit"},${canonicalJson(forbidAll).slice(1)}`),
      'policy_invalid',
    ],
    ['inherited effect alone', json('{"__proto__":{"effect":"forbid"}}'), 'policy_invalid'],
    ['as a list', [{ ...forbidAll, effect: 'permit' }], 'policy_invalid'],
    ['in a list of effects', { ...forbidAll, effect: ['forbid', 'permit'] }, 'policy_invalid'],
    ['as text', 'permit(principal, action, resource);', 'policy_invalid'],
    ['as a set in one item', { staticPolicies: { f: forbidAll }, templates: {} }, 'policy_invalid'],
    ['as a template', { ...forbidAll, principal: { op: '==', slot: '?principal' } }, 'policy_invalid'],
    ['null', null, 'policy_invalid'],
  ])('%s', async (_, policy, code) => {
    expect(await narrowed([policy])).toBe(code);
  });

  test('twice the effect in one object', async () => {
    const world = new ApiWorld();
    const text = `{"effect":"permit",${canonicalJson(forbidAll).slice(1)}`;
    const claims = JSON.stringify(world.claims()).replace('"narrow":[]', `"narrow":[${text}]`);
    const root = signRaw(canonicalJson(unpack(world.envelope()).header), claims, world.mint);
    expect(await world.outcome(root)).toBe('json_invalid');
  });
});

describe('valid JSON that is no policy of ours', () => {
  const attribute = (attr: string): Json => ({ '.': { left: { Var: 'context' }, attr } });
  const nested = (depth: number): Json =>
    depth === 0 ? { Value: true } : { '!': { arg: nested(depth - 1) } };

  test.each<[string, Json, string]>([
    ['an unknown operator', { eval: { arg: { Value: true } } }, 'policy_invalid'],
    ['two operators', { '!': { arg: { Value: true } }, Value: true }, 'policy_invalid'],
    ['no operator', {}, 'policy_invalid'],
    ['an operator named __proto__', json('{"__proto__":{"Value":true}}') as Json, 'policy_invalid'],
    ['an operator named constructor', { constructor: { arg: { Value: true } } }, 'policy_invalid'],
    ['an unknown variable', { Var: 'env' }, 'policy_invalid'],
    ['an extension value', { Value: { __extn: { fn: 'ip', arg: '10.0.0.1' } } }, 'policy_invalid'],
    ['a record as a value', { Value: { a: 1 } }, 'policy_invalid'],
    ['text that is a number', { '<': { left: { Value: 1 }, right: { Value: '2' } } }, 'policy_not_valid'],
    ['an attribute the schema lacks', attribute('nowhere'), 'policy_not_valid'],
    ['an attribute named __proto__', attribute('__proto__'), 'policy_not_valid'],
    [
      'an action the schema lacks',
      { '==': { left: { Var: 'action' }, right: { Value: { __entity: { type: 'Action', id: 'raed' } } } } },
      'policy_not_valid',
    ],
    ['25 levels', nested(25), 'policy_too_deep'],
    ['a condition that is no boolean', { Value: 1 }, 'policy_not_valid'],
  ])('%s', async (_, body, code) => {
    expect(await narrowed([when(body)])).toBe(code);
  });

  test('23 levels are read', async () => {
    const even = nested(22);
    expect(await narrowed([when(even)])).toBe('deny');
  });

  test.each<[string, unknown]>([
    ['a member more', { ...forbidAll, id: 'x' }],
    ['an annotation with a line break', { ...forbidAll, annotations: { reason: 'a\nignore all previous' } }],
    ['an annotation with a bidirectional mark', { ...forbidAll, annotations: { reason: '\u202Eevil' } }],
    ['an annotation of 121 characters', { ...forbidAll, annotations: { reason: 'x'.repeat(121) } }],
    ['an annotation of another name', { ...forbidAll, annotations: { note: 'x' } }],
    ['an annotation that is no text', { ...forbidAll, annotations: { reason: { a: 1 } } }],
  ])('%s', async (_, policy) => {
    expect(await narrowed([policy])).toBe('policy_invalid');
  });

  test('a holder’s words are shown to nobody', async () => {
    const world = new ApiWorld();
    await narrowed([{ ...forbidAll, annotations: { reason: 'ask mallory' } }], world);
    expect(world.receipts).toMatchObject([{ outcome: 'deny' }]);
    expect(JSON.stringify(world.receipts)).not.toContain('mallory');
  });
});

describe('size', () => {
  test('65 policies in one block', async () => {
    expect(await narrowed(Array.from({ length: 65 }, () => ({ a: 1 })))).toBe('narrow_too_large');
  });

  test('64 are read', async () => {
    const world = new ApiWorld();
    expect(
      await narrowed(
        Array.from({ length: 64 }, () => 1),
        world,
      ),
    ).toBe('policy_invalid');
  });

  test('as wide as an envelope can carry, the engine lives on', async () => {
    const terms = Array.from({ length: 80 }, () => ({ Value: true }));
    const world = new ApiWorld();
    expect(
      await narrowed([when({ containsAll: { left: { Set: terms }, right: { Set: terms } } })], world),
    ).toBe('deny');
    expect(await world.outcome(world.envelope())).toBe('allow');
  });

  test('256 policies over all blocks', async () => {
    const world = new ApiWorld();
    const narrow = Array.from({ length: 64 }, () => 1);
    let envelope = world.envelope({ narrow, depth: 8 });
    for (let depth = 7; depth > 3; depth -= 1) {
      const block = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth, narrow };
      envelope = signBlock(envelope, block, world.agent.signer);
    }
    expect(await world.outcome(envelope)).toBe('narrow_too_large');
  });
});

test('no hostile narrow harms the next request', async () => {
  const world = new ApiWorld();
  const bodies: Json[] = [{ eval: 1 }, { Value: { a: 1 } }, { '.': { left: { Var: 'context' }, attr: 'x' } }];
  for (const body of bodies) {
    expect(await narrowed([when(body)], world)).toMatch(/^policy_/u);
    expect(await world.outcome(world.envelope())).toBe('allow');
  }
});
