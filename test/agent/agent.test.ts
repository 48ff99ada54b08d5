import { createHash } from 'node:crypto';
import { type AgentCode, AgentError, type AgentOptions, createAgent, generateKey } from '@bulla/agent';
import { inspect, narrowTo } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeApi, type FakeIssuer, fakeApi, fakeIssuer } from './servers.ts';

const details = [{ type: 'bulla', actions: ['orders.read'] }] as const;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

let clock = 1_800_000_000;
let issuer: FakeIssuer;
let api: FakeApi;
const key = generateKey();

beforeEach(async () => {
  clock = 1_800_000_000;
  issuer = await fakeIssuer(() => clock);
  api = await fakeApi();
});
afterEach(async () => {
  await issuer.close();
  await api.close();
});

const optionsOf = (more: Partial<AgentOptions> = {}): AgentOptions => ({
  issuer: issuer.issuer,
  clientId: 'agt_00000000000000000000000000000002',
  key: key.privateJwk,
  resource: `${api.origin}/`,
  ports: { now: () => clock, fetch: globalThis.fetch },
  ...more,
});

async function failure(run: () => unknown): Promise<AgentError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AgentError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
const codeOf = async (run: () => unknown): Promise<AgentCode> => (await failure(run)).code;

const problem = (status: number, code: string): Response =>
  new Response(JSON.stringify({ code }), { status, headers: { 'content-type': 'application/problem+json' } });

describe.each(['Ed25519', 'P-256'] as const)('an exchange with a key on %s', (curve) => {
  const pair = generateKey(curve);
  test('sends what the RFCs ask for', async () => {
    const agent = createAgent(optionsOf({ key: pair.privateJwk, authorizationDetails: details }));
    await agent.envelope();
    const [request] = issuer.requests;
    expect(Object.fromEntries(request?.form ?? [])).toMatchObject({
      grant_type: 'client_credentials',
      resource: `${api.origin}/`,
      authorization_details: JSON.stringify(details),
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    expect(request?.assertion).toMatchObject({ aud: issuer.issuer, exp: clock + 60 });
    expect(request?.proof).toMatchObject({ htm: 'POST', htu: `${issuer.issuer}/oauth/token`, iat: clock });
    expect(request?.proof).not.toHaveProperty('content_digest');
    expect(agent.keyThumbprint).toBe(pair.thumbprint);
  });
});

describe('the held envelope', () => {
  test('repeats what was asked for in a block of the agent', async () => {
    const text = await createAgent(optionsOf({ authorizationDetails: details })).envelope();
    const { blocks } = inspect(text);
    expect(blocks).toHaveLength(1);
    expect(blocks[0]).toMatchObject({ depth: 3, narrow: narrowTo(details), holder: key.thumbprint });
  });
  test('has no further block where nothing was asked', async () => {
    expect(inspect(await createAgent(optionsOf()).envelope()).blocks).toHaveLength(0);
  });
  test('may be sealed when it carries the limits already, and not otherwise', async () => {
    issuer.behaviour.claims = { depth: 0 };
    const agent = createAgent(optionsOf({ authorizationDetails: details }));
    expect(await codeOf(() => agent.envelope())).toBe('narrowing_missing');
    issuer.behaviour.claims = { depth: 0, narrow: narrowTo(details) };
    expect(inspect(await agent.envelope()).blocks).toHaveLength(0);
  });
  test.each([
    ['key', { cnf: { jkt: generateKey().thumbprint } }],
    ['agent', { client_id: 'agt_other' }],
    ['audience', { aud: ['https://other.example/'] }],
    ['issuer', { iss: 'https://other.example/a/x' }],
    ['time', { iat: 1_799_999_000, exp: 1_799_999_900 }],
  ])('is refused when it is for another %s', async (_, claims) => {
    issuer.behaviour.claims = claims;
    expect(await codeOf(() => createAgent(optionsOf()).envelope())).toBe('envelope_not_ours');
  });
  test('is exchanged once, however many calls wait for it', async () => {
    let open = (): void => {};
    issuer.behaviour.gate = new Promise((resolve) => {
      open = resolve;
    });
    const agent = createAgent(optionsOf());
    const calls = Promise.all(Array.from({ length: 8 }, () => agent.fetch(`${api.origin}/orders`)));
    open();
    await calls;
    expect(issuer.requests).toHaveLength(1);
    expect(new Set(api.seen.map((request) => request.proof['jti'])).size).toBe(8);
  });
  test('is renewed before it expires', async () => {
    const agent = createAgent(optionsOf());
    const first = await agent.envelope();
    clock += 269;
    expect(await agent.envelope()).toBe(first);
    clock += 2;
    expect(await agent.envelope()).not.toBe(first);
  });
  test('is used to its end while the issuer is away, and not beyond', async () => {
    const agent = createAgent(optionsOf());
    const first = await agent.envelope();
    issuer.behaviour.refuse = { status: 503, body: {} };
    clock += 290;
    expect(await agent.envelope()).toBe(first);
    clock += 10;
    expect(await codeOf(() => agent.envelope())).toBe('issuer_unreachable');
  });
  test('is not used on when the issuer says no', async () => {
    const agent = createAgent(optionsOf());
    await agent.envelope();
    issuer.behaviour.refuse = { status: 401, body: { error: 'invalid_client' } };
    clock += 290;
    expect(await codeOf(() => agent.envelope())).toBe('exchange_refused');
  });
});

describe('an issuer', () => {
  test('may ask for a nonce, once', async () => {
    issuer.behaviour.nonce = 'n-1';
    await createAgent(optionsOf()).envelope();
    expect(issuer.requests.map((request) => request.proof['nonce'])).toEqual([undefined, 'n-1']);
    expect(new Set(issuer.requests.map((request) => request.assertion['jti'])).size).toBe(2);
  });
  test('that refuses is quoted by its code, and by nothing else', async () => {
    issuer.behaviour.refuse = { status: 400, body: { error: 'invalid_target', error_description: 'secret' } };
    const error = await failure(() => createAgent(optionsOf()).envelope());
    expect(error).toMatchObject({
      code: 'exchange_refused',
      reason: 'invalid_target',
      status: 400,
      retry: false,
    });
    expect(error.message).toBe('the issuer refused the exchange: invalid_target');
  });
  test.each([
    ['no token', {}],
    ['a bearer token', { access_token: 'x', token_type: 'Bearer' }],
    ['what is no envelope', { access_token: 'x', token_type: 'DPoP' }],
    ['no object', 7],
  ])('that answers with %s is refused', async (_, answer) => {
    issuer.behaviour.answer = answer;
    expect(await codeOf(() => createAgent(optionsOf()).envelope())).toBe('exchange_answer_invalid');
  });
  test.each([
    ['another issuer', { issuer: 'https://other.example', token_endpoint: 'https://other.example/token' }],
    ['nothing', {}],
    ['no list', 7],
  ])('whose metadata names %s is refused', async (_, metadata) => {
    issuer.behaviour.metadata = metadata;
    expect(await codeOf(() => createAgent(optionsOf()).envelope())).toBe('issuer_metadata_invalid');
  });
  test('whose token endpoint is plain http elsewhere is refused', async () => {
    issuer.behaviour.metadata = { issuer: issuer.issuer, token_endpoint: 'http://other.example/token' };
    expect(await codeOf(() => createAgent(optionsOf()).envelope())).toBe('issuer_metadata_invalid');
  });
  test('that is not there is unreachable, and may be tried again', async () => {
    const fetch = (): Promise<Response> => Promise.reject(new TypeError('fetch failed'));
    const agent = createAgent(optionsOf({ ports: { now: () => clock, fetch } }));
    expect(await failure(() => agent.envelope())).toMatchObject({ code: 'issuer_unreachable', retry: true });
  });
});

describe('fetch', () => {
  test('proves method, URL, query, content, its type and the envelope', async () => {
    const agent = createAgent(optionsOf({ bindHeaders: ['Idempotency-Key'] }));
    const response = await agent.fetch(`${api.origin}/orders?b=2&a=1`, {
      method: 'POST',
      body: '{"amount":5}',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'k1', 'x-other': 'y' },
    });
    expect(response.status).toBe(200);
    const [seen] = api.seen;
    expect(seen?.body).toBe('{"amount":5}');
    expect(seen?.proof).toMatchObject({
      htm: 'POST',
      htu: `${api.origin}/orders`,
      htq: sha256('?b=2&a=1'),
      ath: sha256(seen?.envelope ?? ''),
      content_digest: `sha-256=:${createHash('sha256').update('{"amount":5}').digest('base64')}:`,
      htb: { 'content-type': 'application/json', 'idempotency-key': 'k1' },
    });
  });
  test('buffers a stream and a form, and binds the type that is sent', async () => {
    const agent = createAgent(optionsOf());
    const stream = new Blob(['ab', 'cd']).stream();
    await agent.fetch(`${api.origin}/s`, { method: 'PUT', body: stream, duplex: 'half' });
    const form = new FormData();
    form.set('a', '1');
    await agent.fetch(new Request(`${api.origin}/f`, { method: 'POST', body: form }));
    const [first, second] = api.seen;
    expect(first?.body).toBe('abcd');
    expect(first?.proof).not.toHaveProperty('htb');
    expect(second?.proof['htb']).toEqual({ 'content-type': second?.headers['content-type'] });
  });
  test('answers a demand for a nonce once and remembers it', async () => {
    const demand = (): Response =>
      new Response(null, {
        status: 401,
        headers: { 'www-authenticate': 'DPoP error="use_dpop_nonce"', 'dpop-nonce': 'n-7' },
      });
    api.answers.push(demand());
    const agent = createAgent(optionsOf());
    expect((await agent.fetch(`${api.origin}/a`, { method: 'POST', body: 'x' })).status).toBe(200);
    await agent.fetch(`${api.origin}/b`);
    expect(api.seen.map((request) => request.proof['nonce'])).toEqual([undefined, 'n-7', 'n-7']);
    expect(api.seen.map((request) => request.body)).toEqual(['x', 'x', '']);
    api.answers.push(demand(), demand());
    expect((await agent.fetch(`${api.origin}/c`)).status).toBe(401);
    expect(api.seen).toHaveLength(5);
  });
  test.each([401, 403])('exchanges again when a %i says that the policy was superseded', async (status) => {
    const agent = createAgent(optionsOf());
    api.answers.push(problem(status, 'policy_superseded'));
    expect((await agent.fetch(`${api.origin}/a`)).status).toBe(200);
    expect(issuer.requests).toHaveLength(2);
    expect(api.seen[0]?.envelope).not.toBe(api.seen[1]?.envelope);
    api.answers.push(problem(status, 'policy_superseded'), problem(status, 'policy_superseded'));
    expect((await agent.fetch(`${api.origin}/a`)).status).toBe(status);
    expect(api.seen).toHaveLength(4);
  });
  test('hands on any other refusal, unread', async () => {
    api.answers.push(problem(403, 'policy_denied'));
    const response = await createAgent(optionsOf()).fetch(`${api.origin}/a`);
    expect(await response.json()).toEqual({ code: 'policy_denied' });
    expect(issuer.requests).toHaveLength(1);
  });
  test('follows no redirect', async () => {
    const redirect = (): Response => new Response(null, { status: 307, headers: { location: '/elsewhere' } });
    const agent = createAgent(optionsOf());
    api.answers.push(redirect(), redirect());
    expect(await codeOf(() => agent.fetch(`${api.origin}/a`))).toBe('redirect_refused');
    expect((await agent.fetch(`${api.origin}/a`, { redirect: 'manual' })).status).toBe(307);
    expect(api.seen).toHaveLength(2);
  });
  test('sends nothing to another origin', async () => {
    const other = await fakeApi();
    const agent = createAgent(optionsOf());
    expect(await codeOf(() => agent.fetch(`${other.origin}/a`))).toBe('origin_not_allowed');
    expect(await codeOf(() => agent.prove({ method: 'GET', url: `${other.origin}/a` }))).toBe(
      'origin_not_allowed',
    );
    expect(other.seen).toHaveLength(0);
    expect(issuer.requests).toHaveLength(0);
    await other.close();
  });
  test.each(['Authorization', 'DPoP'])('refuses a request with its own %s', async (name) => {
    const agent = createAgent(optionsOf());
    expect(await codeOf(() => agent.fetch(`${api.origin}/a`, { headers: { [name]: 'x' } }))).toBe(
      'header_reserved',
    );
  });
  test('refuses a target that no guarded route accepts', async () => {
    const agent = createAgent(optionsOf());
    expect(await codeOf(() => agent.fetch(`${api.origin}/a%2Fb`))).toBe('request_not_provable');
  });
});

test('prove makes the two fields for another client to send', async () => {
  const agent = createAgent(optionsOf());
  const fields = await agent.prove({ method: 'GET', url: `${api.origin}/a` });
  await fetch(`${api.origin}/a`, { headers: { ...fields } });
  expect(api.seen[0]).toMatchObject({ envelope: await agent.envelope(), proof: { htm: 'GET' } });
});

describe('options', () => {
  test.each<[string, Partial<AgentOptions>]>([
    ['plain http to another host', { issuer: 'http://issuer.example/a/x' }],
    ['an issuer with a query', { issuer: 'https://issuer.example/a/x?y' }],
    ['no client id', { clientId: '' }],
    ['no audience', { resource: [] }],
    ['an audience that is no URL, without origins', { resource: 'urn:x' }],
    ['an origin with a path', { origins: ['https://api.example/x'] }],
    ['a password in a URL', { resource: 'https://a:b@api.example' }],
    ['a malformed detail', { authorizationDetails: [{ type: 'bulla', actions: [] }] }],
    ['a negative margin', { renewBeforeSeconds: -1 }],
    ['a key that is none', { key: { ...key.privateJwk, d: 'AA' } }],
  ])('with %s are refused', async (_, more) => {
    expect(await codeOf(() => createAgent(optionsOf(more)))).toBe('config_invalid');
  });
  test('may name origins beside an audience that is no URL', async () => {
    const agent = createAgent(optionsOf({ resource: 'urn:orders', origins: [api.origin] }));
    expect((await agent.fetch(`${api.origin}/a`)).status).toBe(200);
  });
  test('with a bad key quote nothing of it', async () => {
    const error = await failure(() => createAgent(optionsOf({ key: { ...key.privateJwk, d: 'AA' } })));
    expect(error.message).not.toContain(key.publicJwk.kty === 'OKP' ? key.publicJwk.x : 'x');
  });
});
