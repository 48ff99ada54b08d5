import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, request as send } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { generateKey } from '@bulla/agent';
import { type RunningHelper, startHelper } from '@bulla/agent/helper';
import { inspect, narrowTo } from '@bulla/verifier/envelope';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeIssuer, fakeIssuer } from '../../agent/servers.ts';

// What a child, its neighbours on the machine and pages in a browser may try with a helper. The API records what arrives.
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

let issuer: FakeIssuer;
let api: Server;
let origin: string;
let host: string;
let helper: RunningHelper;
let seen: Seen[];
let respond: (seen: Seen, response: import('node:http').ServerResponse) => void;
const secrets: string[] = [];

beforeEach(async () => {
  seen = [];
  secrets.length = 0;
  respond = (_, response) => response.end('ok');
  api = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const { method = '', url = '', rawHeaders, headers } = request;
    seen.push({ method, url, rawHeaders, headers, body: Buffer.concat(chunks) });
    respond(seen.at(-1) as Seen, response);
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  host = `127.0.0.1:${(api.address() as AddressInfo).port}`;
  origin = `http://${host}`;
  issuer = await fakeIssuer(() => Date.now() / 1000);
  helper = await startHelper({
    agent: {
      issuer: issuer.issuer,
      clientId: 'agt_00000000000000000000000000000002',
      key: generateKey().privateJwk,
      resource: `${origin}/`,
    },
    maxBodyBytes: 1000,
    onSecret: ({ value }) => secrets.push(value),
  });
});
afterEach(async () => {
  await helper.close();
  await issuer.close();
  api.closeAllConnections();
  await new Promise((resolve) => api.close(resolve));
});

interface Answered {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Sends exactly this target to the helper. */
function call(
  target: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string | Buffer } = {},
): Promise<Answered> {
  const { port } = new URL(helper.url);
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body } = options;
    const request = send({ host: '127.0.0.1', port, path: target, method, headers, agent: false });
    request.once('error', reject);
    request.once('response', async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      const isProblem = response.headers['content-type'] === 'application/problem+json';
      const code = isProblem ? (JSON.parse(text) as { code: string }).code : undefined;
      resolve({ status: response.statusCode ?? 0, code, headers: response.headers, body: text });
    });
    request.end(body);
  });
}

/** Bytes as they are, and what came back. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(helper.url).port), '127.0.0.1');
  socket.write(bytes);
  let text = '';
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}

const token = (): string => new URL(helper.url).pathname.slice(1);
const handle = (rest = ''): string => `/${token()}/${host}${rest}`;

describe('a handle', () => {
  test('passes method, target, fields and content on as they are, and proves them', async () => {
    const body = Buffer.from([0, 255, 10, 13, 200]);
    await call(handle('/a%20b/c;d=1?x=%2F&y=1&y=2'), {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'x-two': ['1', '2'], accept: 'a/b' },
      body,
    });
    expect(seen).toHaveLength(1);
    const [request] = seen;
    expect(request).toMatchObject({ method: 'PUT', url: '/a%20b/c;d=1?x=%2F&y=1&y=2', body });
    expect(request?.headers).toMatchObject({
      host,
      accept: 'a/b',
      'x-two': '1, 2',
      authorization: expect.stringMatching(/^DPoP /u),
      dpop: expect.any(String),
    });
  });
  test('drops credentials of the child’s own, hop-by-hop fields and those that `Connection` names', async () => {
    await call(handle('/'), {
      headers: {
        authorization: 'Bearer mine',
        dpop: 'mine',
        connection: 'close, x-named',
        'x-named': '1',
        te: 'trailers',
        'proxy-authorization': 'Basic x',
      },
    });
    const { headers = {} } = seen[0] ?? {};
    expect(headers.authorization).toMatch(/^DPoP \S+$/u);
    expect(headers['dpop']).not.toContain('mine');
    for (const name of ['x-named', 'te', 'proxy-authorization']) expect(headers).not.toHaveProperty(name);
  });
  test('hands a redirect back instead of following it', async () => {
    respond = (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/elsewhere' }).end();
    expect(await call(handle('/'))).toMatchObject({
      status: 302,
      headers: { location: 'http://127.0.0.1:1/elsewhere' },
    });
    expect(seen).toHaveLength(1);
  });
  test('streams the answer, and is proved anew with the nonce that is asked for', async () => {
    respond = (_, response) => {
      if (seen.length > 1) {
        response.writeHead(200, { 'x-api': 'yes' });
        response.write('first ');
        response.end('second');
        return;
      }
      const challenge = 'DPoP error="use_dpop_nonce"';
      response.writeHead(401, { 'www-authenticate': challenge, 'dpop-nonce': 'n-1' }).end();
    };
    const answered = await call(handle('/'));
    expect(answered).toMatchObject({ status: 200, body: 'first second', headers: { 'x-api': 'yes' } });
    const [first, second] = seen.map(({ headers }) => headers['dpop']);
    expect(first).not.toBe(second);
  });
  test('gets a new envelope where the policy changed', async () => {
    respond = (_, response) => {
      if (seen.length > 1) response.end('ok');
      else {
        response.writeHead(403, { 'content-type': 'application/problem+json' });
        response.end('{"code":"policy_superseded"}');
      }
    };
    expect((await call(handle('/'))).status).toBe(200);
    expect(issuer.requests).toHaveLength(2);
  });
});

test.each([
  ['a reason phrase with control characters', '200 \u0001bad\r\nContent-Length: 2\r\n\r\nok', 200],
  ['another protocol', '101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', 503],
  ['no status at all', '000 X\r\nContent-Length: 0\r\n\r\n', 500],
])(
  'an API that answers with %s neither ends the helper nor holds the child up',
  async (_, answer, status) => {
    respond = (_seen, response) => response.socket?.end(`HTTP/1.1 ${answer}`);
    expect((await call(handle('/x'))).status).toBe(status);
    respond = (_seen, response) => response.end('ok');
    expect((await call(handle('/x'))).body).toBe('ok');
  },
);

describe('what leads elsewhere is refused before anything is proved', () => {
  test.each([
    ['another host', () => `/${token()}/evil.example/`, 'origin_not_allowed'],
    ['an empty host', () => `/${token()}//evil.example/`, 'origin_not_allowed'],
    ['a user part', () => `/${token()}/${host}@evil.example/`, 'origin_not_allowed'],
    ['a host with an escape', () => `/${token()}/${host.replace('.', '%2e')}/`, 'origin_not_allowed'],
    ['another port', () => `/${token()}/127.0.0.1:1/`, 'origin_not_allowed'],
    ['a backslash', () => `/${token()}/${host}\\@evil.example/`, 'origin_not_allowed'],
    ['dot segments', () => handle('/a/../b'), 'request_not_provable'],
    ['dot segments out of the handle', () => handle('/../prove'), 'request_not_provable'],
    ['encoded dot segments', () => handle('/%2e%2e/prove'), 'request_not_provable'],
    ['an encoded slash', () => handle('/a%2fb'), 'request_not_provable'],
    ['a fragment', () => handle('/a#b'), 'request_not_provable'],
    ['an access token in the query', () => handle('/a?access_token=x'), 'request_not_provable'],
    ['no token', () => `/${host}/`, 'helper_not_found'],
    ['half a token', () => `/${token().slice(0, 20)}/${host}/`, 'helper_not_found'],
    ['the token in another case', () => `/${token().toLowerCase()}x/${host}/`, 'helper_not_found'],
    ['nothing behind the token', () => `/${token()}`, 'helper_not_found'],
    ['absolute form', () => `http://evil.example/${token()}/${host}/`, 'helper_not_found'],
  ])('%s', async (_, target, code) => {
    expect((await call(target())).code).toBe(code);
    expect(seen).toEqual([]);
  });
  test('CONNECT, upgrades, odd methods', async () => {
    const line = `${handle('/')} HTTP/1.1\r\nhost: ${new URL(helper.url).host}\r\n`;
    expect(await raw(`GET ${line}connection: upgrade\r\nupgrade: websocket\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 501 /u,
    );
    expect(await raw(`CONNECT ${host} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)).toMatch(/^HTTP\/1.1 501 /u);
    expect(await raw(`get ${line}\r\n`)).toMatch(/^HTTP\/1.1 400 /u);
    expect(seen).toEqual([]);
  });
  test('an agent with origins of its own', async () => {
    const agent = { issuer: issuer.issuer, clientId: 'agt_x', key: generateKey().privateJwk };
    const starting = startHelper({
      agent: { ...agent, resource: 'https://api.example/', origins: ['https://evil.example'] },
    });
    await expect(starting).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('a page in a browser on the same machine', () => {
  test.each([
    ['by a name that was bound to 127.0.0.1 anew', { host: 'evil.example' }, 421, 'helper_host_wrong'],
    ['by localhost', { host: 'localhost:1' }, 421, 'helper_host_wrong'],
    ['across origins', { origin: 'https://evil.example' }, 403, 'helper_browser_refused'],
    ['with origin `null`', { origin: 'null' }, 403, 'helper_browser_refused'],
    ['by an image', { 'sec-fetch-site': 'cross-site' }, 403, 'helper_browser_refused'],
    ['by typing the URL', { 'sec-fetch-site': 'none' }, 403, 'helper_browser_refused'],
  ])('is refused %s', async (_, headers, status, code) => {
    const answered = await call(handle('/'), { headers });
    expect(answered).toMatchObject({ status, code });
    expect(answered.headers).not.toHaveProperty('access-control-allow-origin');
    expect(seen).toEqual([]);
  });
  test('is refused with two hosts, or none', async () => {
    const own = new URL(helper.url).host;
    const two = `GET ${handle('/')} HTTP/1.1\r\nhost: ${own}\r\nhost: evil.example\r\n\r\n`;
    expect(await raw(two)).toMatch(/^HTTP\/1.1 4\d\d /u);
    expect(await raw(`GET ${handle('/')} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1.1 421 /u);
    expect(seen).toEqual([]);
  });
});

describe('content', () => {
  test('that is too long is refused, though its length was not announced', async () => {
    const answered = await call(handle('/'), { method: 'POST', body: 'x'.repeat(1001) });
    expect(answered).toMatchObject({ status: 413, code: 'helper_body_too_large' });
    const chunked = { 'transfer-encoding': 'chunked' };
    expect(
      (await call(handle('/'), { method: 'POST', headers: chunked, body: 'x'.repeat(1001) })).status,
    ).toBe(413);
    expect(seen).toEqual([]);
  });
  test('that breaks off reaches no API', async () => {
    const own = new URL(helper.url).host;
    const socket = connect(Number(new URL(helper.url).port), '127.0.0.1');
    socket.write(`POST ${handle('/')} HTTP/1.1\r\nhost: ${own}\r\ncontent-length: 100\r\n\r\nhalf`);
    socket.end();
    for await (const _ of socket as AsyncIterable<Buffer>);
    expect((await call(handle('/after'))).status).toBe(200);
    expect(seen.map(({ url }) => url)).toEqual(['/after']);
  });
});

describe('the helper’s own questions', () => {
  const ask = (question: string, document: unknown, method = 'POST'): Promise<Answered> =>
    call(`/${token()}/${question}`, { method, body: method === 'GET' ? '' : JSON.stringify(document) });

  test('prove gives fields for a request to the same origins, and no others', async () => {
    const proved = await ask('prove', { method: 'GET', url: `${origin}/x` });
    expect(Object.keys(JSON.parse(proved.body) as object).sort()).toEqual(['authorization', 'dpop']);
    expect(proved.headers['cache-control']).toBe('no-store');
    for (const url of ['https://evil.example/', `${origin}@evil.example/`, `//${host}/`]) {
      expect((await ask('prove', { method: 'GET', url })).status).toBeGreaterThanOrEqual(400);
    }
  });
  test.each([
    ['prove', { method: 'GET' }],
    ['prove', { method: 'GET', url: 'x', more: 1 }],
    ['prove', []],
    ['delegate', {}],
    ['delegate', { jwk: generateKey().privateJwk }],
    ['delegate', { jwk: generateKey().publicJwk, until: 1 }],
    ['delegate', { jwk: generateKey().publicJwk, authorization_details: [{ type: 'other' }] }],
  ])('%s refuses %j', async (question, document) => {
    expect((await ask(question, document)).code).toBe('helper_request_invalid');
  });
  test('delegate hands on less, to the asker’s key, and for no longer', async () => {
    const { publicJwk, thumbprint } = generateKey();
    const details = [{ type: 'bulla', actions: ['read'] }] as const;
    const until = Math.floor(Date.now() / 1000) + 30;
    const { body } = await ask('delegate', { jwk: publicJwk, authorization_details: details, until });
    const { blocks, effective } = inspect((JSON.parse(body) as { envelope: string }).envelope);
    expect(blocks.at(-1)).toMatchObject({ holder: thumbprint, narrow: narrowTo(details), depth: 3 });
    expect(effective.exp).toBe(until);
  });
  test('a step for one audience hands on nothing for another', async () => {
    const outer = await startHelper({
      agent: {
        issuer: issuer.issuer,
        clientId: 'agt_00000000000000000000000000000002',
        key: generateKey().privateJwk,
        resource: ['https://payroll.example/', `${origin}/`],
      },
    });
    const step = await startHelper({ agent: { helper: outer.url, resource: [`${origin}/`] } });
    try {
      const question = { method: 'POST', body: JSON.stringify({ jwk: generateKey().publicJwk }) };
      const answer = await fetch(`${step.url}/delegate`, question);
      const { envelope } = (await answer.json()) as { envelope: string };
      expect(inspect(envelope).effective.aud).toEqual([`${origin}/`]);
    } finally {
      await step.close();
      await outer.close();
    }
  });
  test('delegate is for audiences of the envelope only', async () => {
    const { publicJwk: jwk } = generateKey();
    for (const audience of [[], 'x', [1], [`${origin}/`, `${origin}/`]])
      expect((await ask('delegate', { jwk, audience })).code).toBe('helper_request_invalid');
    expect((await ask('delegate', { jwk, audience: ['https://a.example/'] })).code).toBe(
      'origin_not_allowed',
    );
  });
  test('the envelope alone is not given, nor anything to GET', async () => {
    expect((await call(`/${token()}/envelope`)).code).toBe('origin_not_allowed');
    for (const question of ['prove', 'delegate'])
      expect((await ask(question, {}, 'GET')).code).toBe('helper_request_invalid');
  });
});

test('what is secret is told before it is used, and no refusal quotes it', async () => {
  await call(handle('/'));
  const { headers = {} } = seen[0] ?? {};
  for (const value of [token(), headers.authorization?.slice(5) ?? '', String(headers['dpop'])]) {
    expect(secrets).toContain(value);
  }
  issuer.behaviour.refuse = { status: 400, body: { error: 'invalid_target', error_description: 'quoted' } };
  const refusals = [await call(`/${token()}/evil.example/`), await call(handle('/%2e'))];
  for (const { body } of refusals) expect(secrets.some((secret) => body.includes(secret))).toBe(false);
});
