import type { Server } from 'node:http';
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { type ApprovalRequest, approvalRequest, parseApproval, signRoot } from '@bulla/verifier/envelope';
import { guard } from '@bulla/verifier/hono';
import { createFollower, type Follower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newSigner } from '../kit/log.ts';
import { Desk, freePort, policySets } from './desk.ts';

let desk: Desk;
let follower: Follower;
let server: Server;
let origin: string;
let agent: { readonly id: string; readonly file: string };
const finance: { readonly id: string; readonly file: string }[] = [];

beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  desk = await Desk.withIssuer('--audience', `${origin}/`);
  await desk.json('policy', 'publish', `${policySets}/payments-four-eyes`, '--slot', 'pay');
  await desk.json('admin', 'audience', 'add', `${origin}/`, '--slot', 'pay');
  for (const group of ['clerks', 'finance', 'board'])
    await desk.json('admin', 'group', 'add', group, '--protected');
  const { id } = await desk.addPerson('--group', 'clerks');
  agent = await desk.addAgent(id);
  for (let index = 0; index < 2; index += 1) finance.push(await desk.addPerson('--group', 'finance'));
  follower = createFollower({ ...desk.account(), url: desk.url });
  follower.start();
  await follower.ready;
  server = serve({ fetch: payments().fetch, hostname: '127.0.0.1', port }) as Server;
});
afterAll(async () => {
  await follower.close();
  server.close();
  server.closeAllConnections();
  await desk.close();
});

function payments(): Hono {
  const verifier = createVerifier({
    account: desk.account().account,
    audience: `${origin}/`,
    publicOrigins: [origin],
    trust: follower.trust,
    replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 60 }),
  });
  const app = new Hono();
  app.use(
    guard(verifier, {
      'POST /payments': {
        action: 'payment.create',
        resource: () => ({ type: 'Treasury', id: 'main' }),
        context: (request) => ({ amount: (request.json() as { amount: number }).amount }),
      },
    }),
  );
  return app.post('/payments', (c) => c.body(null, 201));
}

const call = (...more: readonly string[]): string[] => [
  'call',
  `${origin}/payments`,
  '--agent',
  agent.id,
  '--key',
  agent.file,
  '-H',
  'content-type: application/json',
  '-d',
  '{"amount":6000}',
  ...more,
];

/** What an approver is sent about a request of nobody in particular. */
const sent = (change: Partial<Parameters<typeof approvalRequest>[0]> = {}): ApprovalRequest => {
  const now = Math.floor(Date.now() / 1000);
  const envelope = signRoot(
    {
      iss: 'https://issuer.example',
      aud: ['https://api.example/'],
      sub: 'prn_00000000000000000000000000000001',
      jti: 'x',
      iat: now,
      exp: now + 300,
      account: desk.account().account,
      epoch: { principal: 0, agent: 0 },
      client_id: 'agt_00000000000000000000000000000002',
      cnf: { jkt: 'A'.repeat(43) },
      key: 'logged',
      policy: 'sha-256:x',
      narrow: [],
      depth: 0,
    },
    newSigner(),
  );
  return approvalRequest({
    method: 'POST',
    url: 'https://api.example/payments?currency=EUR',
    body: '{"amount":6000}',
    headers: { 'content-type': 'application/json' },
    envelope,
    ...change,
  });
};
const approve = (document: object, more: readonly string[] = [], typed?: readonly string[]) =>
  desk.run(['approve', '-', '--key', finance[0]?.file ?? '', ...more], {
    stdin: JSON.stringify(document),
    ...(typed !== undefined && { typed }),
  });
const failure = (document: object, ...more: readonly string[]) =>
  desk.failure(['approve', '-', '--key', finance[0]?.file ?? '', '--yes', ...more], {
    stdin: JSON.stringify(document),
  });

test('an agent is told what to do, two people approve from their own desks, and the payment is made once', async () => {
  const envelope = desk.path('envelope.txt');
  const request = desk.path('request.json');
  const denied = await desk.run(call('--envelope', envelope));
  expect(denied.exit).toBe(7);
  expect(denied.stderr).toContain("denied by the admins' policy (policy_denied)");
  expect(denied.stderr).toContain('more than 5000 needs approvals by two people in finance');
  expect(denied.stderr).toContain('next: get approvals of this request by people in finance');

  await desk.json(...call('--envelope', envelope, '--approval-request', request));
  const approvals: string[] = [];
  for (const [index, { file }] of finance.entries()) {
    const { exit, stdout, stderr } = await desk.run(['approve', request, '--key', file], { typed: ['yes'] });
    expect(exit).toBe(0);
    expect(stderr).toContain('  | {"amount":6000}');
    approvals.push('--approval', desk.write(`approval-${index}.txt`, stdout));
  }
  expect((await desk.run(call('--envelope', envelope, ...approvals))).exit).toBe(0);
  const again = await desk.run(call('--envelope', envelope, ...approvals));
  expect(again.exit).toBe(7);
  expect(again.stderr).toContain('(approval_replayed)');
});

describe('approve', () => {
  test('shows all that it signs, and prints the approval alone', async () => {
    const document = sent();
    const { exit, stdout, stderr } = await approve(document, [], ['yes']);
    expect(exit).toBe(0);
    const { account, request, envelope } = document;
    expect(parseApproval(stdout.trim()).claims).toMatchObject({ account, request, envelope });
    for (const shown of [
      'POST',
      document.url,
      '| {"amount":6000}',
      'agt_0',
      'prn_0',
      request,
      envelope,
      account,
    ]) {
      expect(stderr).toContain(shown);
    }
  });
  test('as JSON gives the approval and what was shown', async () => {
    const document = sent();
    const { stdout } = await approve(document, ['--json', '--yes']);
    expect(JSON.parse(stdout)).toMatchObject({
      shown: { url: document.url, request: document.request, body: document.body, method: 'POST' },
    });
  });
  test.each([
    ['no', ['no']],
    ['nothing', ['']],
  ])('signs nothing when the person types %s', async (_, typed) => {
    const { exit, stdout, stderr } = await approve(sent(), [], typed);
    expect([exit, stdout]).toEqual([7, '']);
    expect(stderr).toContain('not_confirmed');
  });
  test('signs nothing where nobody is there to ask', async () => {
    expect((await approve(sent())).exit).toBe(2);
    expect((await approve(sent(), ['--json'], ['yes'])).exit).toBe(2);
  });
  test('signs no content that was withheld, unless told', async () => {
    const document = sent({ withholdBody: true });
    expect(await failure(document)).toBe('2 argument_invalid');
    expect(await failure(sent({ body: 'x'.repeat(65_537) }))).toBe('2 argument_invalid');
    const { exit, stderr } = await approve(document, ['--yes', '--unseen-body']);
    expect(exit).toBe(0);
    expect(stderr).toContain('WITHHELD');
  });
  test('lives at most an hour', async () => {
    expect(await failure(sent(), '--for', '61m')).toBe('2 argument_invalid');
  });
  test('shows what would hide in a terminal', async () => {
    const body = 'pay 1\u001B[2K\u202E000,1\nyou are asked to approve, once:\u2028\u0000';
    const { stderr } = await approve(sent({ body }), ['--yes']);
    expect(stderr).toContain(
      '  | pay 1\\u{1b}[2K\\u{202e}000,1\n  | you are asked to approve, once:\\u{2028}\\u{0}\n',
    );
  });
  const forgeries: Record<string, () => object> = {
    'another body': () => ({ ...sent(), body: Buffer.from('{"amount":1}').toString('base64url') }),
    'another URL': () => ({ ...sent(), url: 'https://api.example/payments?currency=USD' }),
    'a URL spelled in another way': () => ({ ...sent(), url: 'https://API.example/payments?currency=EUR' }),
    'another method': () => ({ ...sent(), method: 'PUT' }),
    'another content type': () => ({ ...sent(), headers: { 'content-type': 'text/plain' } }),
    'another root': () => ({ ...sent(), root: sent().root }),
    'another account': () => ({ ...sent(), account: `acct_${'A'.repeat(43)}` }),
    'a hash of its own': () => ({ ...sent(), request: 'A'.repeat(43) }),
    'a body that is not there': () => ({ ...sent(), content_digest: 'sha-256=:AAAA:' }),
    'an unknown member': () => ({ ...sent(), note: 'it is fine' }),
  };
  test.each(Object.keys(forgeries))('refuses a request that shows %s', async (name) => {
    expect(await failure(forgeries[name]?.() ?? {})).toBe('3 approval_request_invalid');
  });
  test('refuses what is no JSON, or twice the same member', async () => {
    expect(await desk.failure(['approve', '-', '--key', 'x', '--yes'], { stdin: 'x' })).toBe(
      '2 argument_invalid',
    );
    const twice = JSON.stringify(sent()).replace('{', '{"url":"https://api.example/",');
    expect(await desk.failure(['approve', '-', '--key', 'x', '--yes'], { stdin: twice })).toBe(
      '2 argument_invalid',
    );
  });
});
