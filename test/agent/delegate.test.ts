import { type Agent, type AgentCode, AgentError, createAgent } from '@bulla/agent';
import { type Decision, type Ports, Refusal, type RouteOptions, type Signer } from '@bulla/verifier';
import { inspect } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience, notesPolicy, readNote } from '../kit/api.ts';
import { newSigner } from '../kit/log.ts';

const actor = (id: string) => ({
  contains: { left: { '.': { left: { Var: 'context' }, attr: 'actors' } }, right: { Value: id } },
});
const forbidding = (policy: object) => ({
  effect: 'forbid',
  principal: { op: 'All' },
  action: { op: 'All' },
  resource: { op: 'All' },
  conditions: [{ kind: 'when', body: policy }],
});

/** Notes, with a policy that can look at the chain. */
function policyWith(policies: object): PolicySetDocument {
  const context = {
    type: 'Record',
    attributes: {
      actors: { type: 'Set', element: { type: 'String' } },
      key: { type: 'String' },
      depth: { type: 'Long' },
    },
  };
  const on = { principalTypes: ['User'], resourceTypes: ['Note'], context };
  const schema = notesPolicy.schema[''];
  const actions = { read: { appliesTo: on }, write: { appliesTo: on } };
  return {
    ...notesPolicy,
    policies: { ...notesPolicy.policies, ...policies },
    schema: { '': { ...schema, actions } },
  } as PolicySetDocument;
}

let world: ApiWorld;
let decisions: Decision[];
let forbids: NonNullable<RouteOptions['forbids']>;
beforeEach(() => {
  world = new ApiWorld({ policy: policyWith({}) });
  decisions = [];
  forbids = [];
});

/** The API: `PUT` writes, everything else reads. */
const ports = (): Ports => ({
  now: () => world.now,
  fetch: async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers: [string, string][] = [['host', url.host], ...new Headers(init?.headers)];
    const method = init?.method ?? 'GET';
    const wire = { method, target: url.pathname, headers, body: new Uint8Array() };
    const access = readNote('1', 'open', method === 'PUT' ? 'write' : 'read');
    try {
      const decision = await world.decide(wire, access, { forbids });
      decisions.push(decision);
      return new Response(null, { status: decision.allowed ? 200 : 403 });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const type = { 'content-type': 'application/problem+json' };
      return new Response(JSON.stringify({ code: error.code }), { status: 401, headers: type });
    }
  },
});

const handed = (envelope: string, key: Signer): Agent => createAgent({ envelope, key, ports: ports() });
const holderOf = (): Agent => handed(world.envelope(), world.agent.signer);
const status = async (agent: Agent, method = 'GET'): Promise<number> =>
  (await agent.fetch(`${audience}/notes/1`, { method })).status;
async function codeOf(run: () => unknown): Promise<AgentCode> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AgentError) return error.code;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('an agent that was handed an envelope', () => {
  test('spends it, and hands on less', async () => {
    const bob = newSigner();
    const agent = holderOf();
    const { envelope, policies } = await agent.delegate({
      next: bob.publicKey.jwk,
      only: { actions: ['read'] },
      expiresAt: world.now + 60,
      schema: policyWith({}),
    });
    expect(policies[0]).toContain('Action::"read"');
    const helper = handed(envelope, bob);
    expect(helper.keyThumbprint).toBe(bob.publicKey.thumbprint);
    expect(await Promise.all([status(agent), status(agent, 'PUT')])).toEqual([200, 200]);
    expect(await Promise.all([status(helper), status(helper, 'PUT')])).toEqual([200, 403]);
  });

  test('says so when it has expired, and asks nobody for another', async () => {
    const agent = holderOf();
    world.now += 299;
    expect(await status(agent)).toBe(200);
    world.now += 1;
    expect(await codeOf(() => agent.fetch(`${audience}/notes/1`))).toBe('envelope_expired');
    expect(await codeOf(() => agent.delegate({ next: newSigner().publicKey.jwk }))).toBe('envelope_expired');
    expect(decisions).toHaveLength(1);
  });

  test('gives the answer of an API whose policy has changed as it is', async () => {
    const agent = holderOf();
    world.publish(policyWith({ more: notesPolicy.policies['no-secrets'] as object }));
    const response = await agent.fetch(`${audience}/notes/1`);
    expect([response.status, await response.json()]).toEqual([401, { code: 'policy_superseded' }]);
  });

  test('is for the key that the envelope names last', async () => {
    const bob = newSigner();
    expect(await codeOf(() => handed(world.envelope(), bob))).toBe('envelope_not_ours');
    expect(await codeOf(() => handed('x', bob))).toBe('envelope_malformed');
    const { envelope } = await holderOf().delegate({ next: bob.publicKey.jwk });
    expect(await codeOf(() => handed(envelope, world.agent.signer))).toBe('envelope_not_ours');
  });

  test('sends it to its audiences, and elsewhere only when told', async () => {
    const elsewhere = 'https://elsewhere.example/notes/1';
    expect(await codeOf(() => holderOf().fetch(elsewhere))).toBe('origin_not_allowed');
    const origins = ['https://elsewhere.example'];
    const key = world.agent.signer;
    const told = createAgent({ envelope: world.envelope(), key, origins, ports: ports() });
    expect((await told.fetch(elsewhere)).status).toBe(401);
  });
});

/** The agent, a helper of somebody else's that the log knows, and a key that it does not know. */
async function threeHolders(): Promise<{ readonly chain: Agent[]; readonly ids: readonly string[] }> {
  const helper = world.ledger.agent(world.ledger.person());
  const stranger = newSigner();
  const first = holderOf();
  const second = handed(
    (await first.delegate({ next: helper.signer.publicKey.jwk })).envelope,
    helper.signer,
  );
  const third = handed((await second.delegate({ next: stranger.publicKey.jwk })).envelope, stranger);
  return { chain: [first, second, third], ids: [world.alice.id, world.agent.id, helper.id, 'unlogged'] };
}

describe('three holders', () => {
  test('reach the handler and the receipt, each as the log knows them', async () => {
    const { chain, ids } = await threeHolders();
    for (const [index, holder] of chain.entries()) {
      expect(await status(holder)).toBe(200);
      const actors = ids.slice(0, index + 2);
      const decision = decisions.at(-1);
      expect(decision).toMatchObject({ allowed: true, grant: { actors, agent: world.agent.id } });
      expect(decision?.receipt.envelope).toMatchObject({ actors, blocks: index, subject: world.alice.id });
      expect(decision?.receipt.proof?.key).toBe(holder.keyThumbprint);
    }
  });

  test('reach the receipt of a deny too', async () => {
    const { chain, ids } = await threeHolders();
    forbids = [forbidding({ Value: true }) as never];
    expect(await status(chain[2] as Agent)).toBe(403);
    expect(decisions.at(-1)?.receipt).toMatchObject({ outcome: 'deny', envelope: { actors: ids } });
  });

  test.each([
    [0, [403, 403, 403]],
    [1, [403, 403, 403]],
    [2, [200, 403, 403]],
    [3, [200, 200, 403]],
  ])('reach the policy: one that forbids actor %i', async (index, expected) => {
    const { chain, ids } = await threeHolders();
    forbids = [forbidding(actor(ids[index] ?? '')) as never];
    const statuses = [];
    for (const holder of chain) statuses.push(await status(holder));
    expect(statuses).toEqual(expected);
  });

  test('are told apart by the last key and the depth', async () => {
    const { chain } = await threeHolders();
    const is = (attr: string, value: string | number) => ({
      '==': { left: { '.': { left: { Var: 'context' }, attr } }, right: { Value: value } },
    });
    const outcomes = async (policy: object): Promise<number[]> => {
      forbids = [forbidding(policy) as never];
      const statuses = [];
      for (const holder of chain) statuses.push(await status(holder));
      return statuses;
    };
    expect(await outcomes(is('key', 'unlogged'))).toEqual([200, 200, 403]);
    expect(await outcomes(is('depth', 1))).toEqual([200, 403, 200]);
  });

  test('an own narrowing block names nobody anew', async () => {
    const { envelope } = await holderOf().delegate({ next: world.agent.signer.publicKey.jwk });
    expect(inspect(envelope).blocks).toHaveLength(1);
    expect(await status(handed(envelope, world.agent.signer))).toBe(200);
    expect(decisions.at(-1)).toMatchObject({ grant: { actors: [world.alice.id, world.agent.id] } });
  });
});
