import { once } from 'node:events';
import type { Server } from 'node:http';
import { type Agent, createAgent, readProblem } from '@bulla/agent';
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { type ApprovalRequest, readApprovalRequest, signApproval } from '@bulla/verifier/envelope';
import { guard } from '@bulla/verifier/hono';
import { policySetDigest } from '@bulla/verifier/policy';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterEach, expect, test } from 'vitest';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import type { Party } from '../kit/log.ts';
import { paymentsPolicy } from '../kit/payments.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** An API of payments beside the live issuer; what it paid. */
async function paymentsApi(live: Live): Promise<{ readonly origin: string; readonly paid: unknown[] }> {
  const app = new Hono();
  const paid: unknown[] = [];
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server;
  if (!server.listening) await once(server, 'listening');
  closing.push(async () => server.close());
  const address = server.address();
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const verifier = createVerifier({
    account: live.world.ledger.account,
    audience,
    publicOrigins: [origin],
    trust: live.follower.trust,
    replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 60 }),
  });
  app.use(
    guard(verifier, {
      'POST /payments': {
        action: 'payment.create',
        resource: () => ({ type: 'Treasury', id: 'main' }),
        context: (request) => ({ amount: (request.json() as { amount: number }).amount }),
      },
    }),
  );
  app.post('/payments', async (c) => {
    paid.push(await c.req.json());
    return c.body(null, 201);
  });
  return { origin, paid };
}

interface Stage {
  readonly live: Live;
  readonly agent: Agent;
  readonly api: { readonly origin: string; readonly paid: unknown[] };
  readonly finance: readonly [Party, Party];
}

async function stage(): Promise<Stage> {
  const key = newKey();
  const live = await startLive({ agentKey: key.signer });
  closing.push(() => live.close());
  const { world } = live;
  const { ledger } = world;
  const first = ledger.leaves.length;
  for (const group of ['clerks', 'finance', 'board']) ledger.group(group, { protected: true });
  ledger.do({ type: 'member.add', group: 'clerks', member: `principal/${world.alice.id}` });
  const finance = [ledger.person({ groups: ['finance'] }), ledger.person({ groups: ['finance'] })] as const;
  ledger.policy('main', policySetDigest(paymentsPolicy));
  for (const leaf of ledger.leaves.slice(first)) await live.post(leaf, [paymentsPolicy]);
  const api = await paymentsApi(live);
  const agent = createAgent({
    issuer: world.issuerId,
    clientId: world.agent.id,
    key: key.jwk,
    resource: audience,
    origins: [api.origin],
  });
  return { live, agent, api, finance };
}

const payment = (api: Stage['api'], amount: number) => ({
  method: 'POST',
  url: `${api.origin}/payments`,
  body: JSON.stringify({ amount }),
  headers: { 'content-type': 'application/json' },
});

/** What a person's tool does with the document it was sent. */
const approve = (sent: ApprovalRequest, { signer }: Party): string =>
  signApproval(readApprovalRequest(JSON.parse(JSON.stringify(sent))), { signer, now: Date.now() / 1000 });

test('an agent is told whom to ask, asks two of finance, and pays once', async () => {
  const { agent, api, finance } = await stage();
  const wanted = payment(api, 6000);
  const sent = await agent.approvalRequest(wanted);

  const denied = await agent.fetch(wanted.url, wanted);
  const problem = await readProblem(denied);
  expect(problem).toMatchObject({
    status: 403,
    code: 'policy_denied',
    layer: 'admin',
    next: { do: 'approval', groups: ['finance'], account: sent.account },
  });
  expect(problem?.next).toMatchObject({ request: sent.request, envelope: sent.envelope });
  expect(problem?.reasons.map(({ policy }) => policy).sort()).toEqual(['one-of-finance', 'two-of-finance']);

  const approvals = finance.map((person) => approve(sent, person));
  expect((await agent.fetch(wanted.url, { ...wanted, approvals: approvals.slice(0, 1) })).status).toBe(403);
  const fresh = approve(sent, finance[0]);
  const spent = await agent.fetch(wanted.url, { ...wanted, approvals });
  expect(await readProblem(spent)).toMatchObject({ code: 'approval_replayed', next: { do: 'approval' } });
  const second = approvals[1] ?? '';
  const paid = await agent.fetch(wanted.url, { ...wanted, approvals: [fresh, second] });
  expect(paid.status).toBe(201);
  expect(api.paid).toEqual([{ amount: 6000 }]);
  const again = await agent.fetch(wanted.url, { ...wanted, approvals: [fresh, second] });
  expect(await readProblem(again)).toMatchObject({ code: 'approval_replayed' });
  expect(api.paid).toHaveLength(1);
});

test('`prove` takes approvals for another client; another request and the acting person’s approval do not pass', async () => {
  const { live, agent, api, finance } = await stage();
  const wanted = payment(api, 101);
  const sent = await agent.approvalRequest(wanted);
  const approvals = [approve(sent, finance[0])];
  const other = payment(api, 102);
  const misused = await agent.fetch(other.url, { ...other, approvals });
  expect(await readProblem(misused)).toMatchObject({ code: 'approval_request_mismatch' });
  expect(
    await readProblem(
      await agent.fetch(wanted.url, { ...wanted, approvals: [approve(sent, live.world.alice)] }),
    ),
  ).toMatchObject({ code: 'approver_not_independent' });

  const fields = await agent.prove({ ...wanted, approvals });
  const paid = await fetch(wanted.url, { ...wanted, headers: { ...wanted.headers, ...fields } });
  expect(paid.status).toBe(201);
});

test('a sub-agent spends what was approved for the envelope it was handed a part of', async () => {
  const { agent, api, finance } = await stage();
  const wanted = payment(api, 101);
  const key = newKey();
  const { envelope } = await agent.delegate({ next: key.signer.publicKey.jwk });
  const sub = createAgent({ envelope, key: key.jwk, origins: [api.origin] });
  const approvals = [approve(await agent.approvalRequest(wanted), finance[0])];
  expect((await sub.fetch(wanted.url, { ...wanted, approvals })).status).toBe(201);
});

test('approvals for an envelope that the agent does not hold are not sent', async () => {
  const { agent, api, finance } = await stage();
  const wanted = payment(api, 101);
  const approval = approve(await agent.approvalRequest(wanted), finance[0]);
  const [head, , tail] = approval.split('.');
  const claims = JSON.parse(Buffer.from(approval.split('.')[1] ?? '', 'base64url').toString()) as object;
  const other = Buffer.from(JSON.stringify({ ...claims, envelope: 'A'.repeat(43) })).toString('base64url');
  for (const approvals of [[`${head}.${other}.${tail}`], ['x'], [approval, `${head}.${other}.${tail}`]]) {
    await expect(agent.fetch(wanted.url, { ...wanted, approvals })).rejects.toMatchObject({
      code: 'approvals_unusable',
    });
  }
  const headers = { ...wanted.headers, 'bulla-approval': approval };
  await expect(agent.fetch(wanted.url, { ...wanted, headers })).rejects.toMatchObject({
    code: 'header_reserved',
  });
});
