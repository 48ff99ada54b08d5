import { type Agent, createAgent, generateKey } from '@bulla/agent';
import { createSigner, systemPorts } from '@bulla/verifier';
import { type ApprovalRequest, readApprovalRequest, rootHash, signApproval } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeApi, type FakeIssuer, fakeApi, fakeIssuer } from './servers.ts';

let issuer: FakeIssuer;
let api: FakeApi;
let agent: Agent;
let now = 0;
const approver = createSigner(generateKey().privateJwk);

beforeEach(async () => {
  now = 1_800_000_000;
  issuer = await fakeIssuer(() => now);
  api = await fakeApi();
  agent = createAgent({
    issuer: issuer.issuer,
    clientId: 'agt_1',
    key: generateKey().privateJwk,
    resource: `${api.origin}/`,
    bindHeaders: ['Idempotency-Key'],
    ports: { ...systemPorts, now: () => now },
  });
});
afterEach(async () => {
  await issuer.close();
  await api.close();
});

const wanted = () => ({
  method: 'POST',
  url: `${api.origin}/payments?x=1`,
  body: '{"amount":7}',
  headers: { 'content-type': 'application/json', 'idempotency-key': '7', accept: '*/*' },
});
const approve = (sent: ApprovalRequest): string =>
  signApproval(readApprovalRequest(sent), { signer: approver, now });
const problem = (code: string, status = 401): Response =>
  new Response(JSON.stringify({ code }), { status, headers: { 'content-type': 'application/problem+json' } });

test('approvers are shown what the proof will bind, and the content', async () => {
  const sent = await agent.approvalRequest(wanted());
  expect(sent.headers).toEqual({ 'content-type': 'application/json', 'idempotency-key': '7' });
  expect(Buffer.from(sent.body ?? '', 'base64url').toString()).toBe('{"amount":7}');
  expect(sent.envelope).toBe(rootHash(await agent.envelope()));
  expect(sent.root).not.toContain('~');
});

test('the envelope that people were asked about is spent, though the agent has a newer one', async () => {
  const approvals = [approve(await agent.approvalRequest(wanted()))];
  const asked = await agent.envelope();
  now += 280;
  expect(await agent.envelope()).not.toBe(asked);
  await agent.fetch(wanted().url, { ...wanted(), approvals });
  expect(api.seen[0]?.envelope).toBe(asked);
  expect(api.seen[0]?.headers['bulla-approval']).toBe(approvals[0]);
  expect((await agent.prove({ ...wanted(), approvals })).authorization).toBe(`DPoP ${asked}`);
  now += 20;
  await expect(agent.prove({ ...wanted(), approvals })).rejects.toMatchObject({ code: 'approvals_unusable' });
});

test('approvals for several envelopes, or none that can be read, are sent nowhere', async () => {
  const first = approve(await agent.approvalRequest(wanted()));
  now += 280;
  const second = approve(await agent.approvalRequest(wanted()));
  for (const approvals of [
    [first, second],
    [second, first],
    [second, 'x.y.z'],
  ]) {
    const sent = agent.fetch(wanted().url, { ...wanted(), approvals });
    await expect(sent).rejects.toMatchObject({ code: 'approvals_unusable' });
  }
  expect(api.seen).toEqual([]);
  expect((await agent.fetch(wanted().url, { ...wanted(), approvals: [second] })).status).toBe(200);
});

test('people are asked about an envelope with most of its life before it', async () => {
  await agent.envelope();
  now += 151;
  const sent = await agent.approvalRequest(wanted());
  expect(issuer.requests).toHaveLength(2);
  expect(readApprovalRequest(sent).root.exp).toBe(now + 300);
});

test('approvals go with no other envelope: a changed policy is answered, not cured', async () => {
  const approvals = [approve(await agent.approvalRequest(wanted()))];
  api.answers.push(problem('policy_superseded'));
  const response = await agent.fetch(wanted().url, { ...wanted(), approvals });
  expect(await response.json()).toEqual({ code: 'policy_superseded' });
  expect([api.seen.length, issuer.requests.length]).toEqual([1, 1]);
});

test('approvals are sent again where only a nonce was missing', async () => {
  const approvals = [approve(await agent.approvalRequest(wanted()))];
  const challenge = { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n' };
  api.answers.push(new Response(null, { status: 401, headers: challenge }));
  expect((await agent.fetch(wanted().url, { ...wanted(), approvals })).status).toBe(200);
  expect(api.seen.map(({ headers }) => headers['bulla-approval'])).toEqual([approvals[0], approvals[0]]);
});

test('what is outside the agent’s origins is asked of nobody', async () => {
  const elsewhere = { ...wanted(), url: 'https://elsewhere.example/' };
  await expect(agent.approvalRequest(elsewhere)).rejects.toMatchObject({ code: 'origin_not_allowed' });
  const odd = { ...wanted(), url: `${api.origin}/a%2fb` };
  await expect(agent.approvalRequest(odd)).rejects.toMatchObject({ code: 'request_not_provable' });
});

test('an endless problem is no problem, and does not hold the agent up', async () => {
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('x'.repeat(9000))),
  });
  const headers = { 'content-type': 'application/problem+json' };
  const handed = createAgent({
    issuer: issuer.issuer,
    clientId: 'agt_1',
    key: generateKey().privateJwk,
    resource: `${api.origin}/`,
    ports: {
      now: () => now,
      fetch: async (url, init) =>
        new Request(url).url.startsWith(api.origin)
          ? new Response(endless, { status: 401, headers })
          : systemPorts.fetch(url, init),
    },
  });
  expect((await handed.fetch(`${api.origin}/x`)).status).toBe(401);
});
