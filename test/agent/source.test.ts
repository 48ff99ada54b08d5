import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  AgentError,
  type CredentialSource,
  createAgent,
  generateKey,
  githubActions,
  oidcClientCredentials,
  spiffeCommand,
  spiffeFile,
  tokenFile,
} from '@bulla/agent';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OutsideIssuer } from '../kit/federation.ts';
import { type LoopbackGithub, loopbackGithub } from '../kit/loopback-github.ts';
import { type FakeApi, type FakeIssuer, fakeApi, fakeIssuer } from './servers.ts';

// The issuer here is a local endpoint that mints for whoever asks; test/e2e/run.test.ts has the real one.
const now = (): number => Date.now() / 1000;
const binding = 'bulla:acct_x:thumbprint';
const outside = new OutsideIssuer();
let folder: string;
let issuer: FakeIssuer;
let api: FakeApi;
let github: LoopbackGithub;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bulla-source-'));
  [issuer, api, github] = await Promise.all([fakeIssuer(now), fakeApi(), loopbackGithub()]);
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await Promise.all([issuer.close(), api.close(), github.close()]);
});

async function failureOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AgentError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('nothing was refused');
}

function write(content: string): string {
  const file = path.join(folder, 'token');
  writeFileSync(file, content);
  return file;
}

/** A command that prints what `spire-agent api fetch jwt` does. */
const printing = (audience: string, ...more: readonly string[]): string[] => [
  process.execPath,
  '-e',
  `console.log('token(spiffe://acme.example/ci):\\n\\t' + process.argv[1])`,
  outside.token({ sub: 'spiffe://acme.example/ci', aud: [audience] }),
  '{binding}',
  ...more,
];

describe('an agent with a source', () => {
  const exchanging = (source: CredentialSource, more: object = {}) =>
    createAgent({ issuer: issuer.issuer, source, resource: `${api.origin}/`, ...more });

  test('exchanges under a key made in memory, to which the credential is bound', async () => {
    const agent = exchanging(githubActions(github.env));
    expect((await agent.fetch(`${api.origin}/orders`)).status).toBe(200);
    const account = issuer.issuer.split('/a/')[1];
    expect(github.requests.map(({ audience }) => audience)).toEqual([
      `bulla:${account}:${agent.keyThumbprint}`,
    ]);
    const form = Object.fromEntries(issuer.requests[0]?.form ?? []);
    expect(form).toMatchObject({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      resource: `${api.origin}/`,
    });
    expect(form).not.toHaveProperty('client_id');
    expect(form).not.toHaveProperty('client_assertion');
    expect(agent.keyThumbprint).not.toBe(exchanging(githubActions(github.env)).keyThumbprint);
  });
  test('asks it again for each exchange, once', async () => {
    issuer.behaviour.nonce = 'n-1';
    issuer.behaviour.claims = { exp: Math.floor(now()) + 60, iat: Math.floor(now()) - 60 };
    let ahead = 0;
    const ports = { now: () => now() + ahead, fetch: globalThis.fetch };
    const agent = exchanging(githubActions(github.env), { ports });
    await agent.envelope();
    expect(issuer.requests).toHaveLength(2);
    expect(github.requests).toHaveLength(1);
    issuer.behaviour.claims = {};
    ahead = 61;
    await agent.envelope();
    expect(github.requests).toHaveLength(2);
  });
  test('may have a holder key that stays', () => {
    const key = generateKey();
    const agent = exchanging(githubActions(github.env), { key: key.privateJwk });
    expect(agent.keyThumbprint).toBe(key.thumbprint);
  });
  test.each([
    ['neither source nor key', { source: undefined }],
    ['an issuer without an account', { issuer: 'https://issuer.example' }],
  ])('is refused with %s', async (_, more) => {
    expect(await failureOf(() => exchanging(githubActions(github.env), more))).toMatch(/^config_invalid/u);
  });
});

describe('githubActions', () => {
  test.each([
    ['no variables', {}],
    [
      'http elsewhere',
      { ACTIONS_ID_TOKEN_REQUEST_URL: 'http://ci.example/', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x' },
    ],
  ])('refuses %s', async (_, env) => {
    expect(await failureOf(() => githubActions(env))).toMatch(/^config_invalid/u);
  });
  test('follows no redirect with the job’s token', async () => {
    github.respond = (request, response) => {
      if (request.url === '/elsewhere') return false;
      response.writeHead(302, { location: '/elsewhere' }).end();
      return true;
    };
    const source = githubActions(github.env);
    expect(await failureOf(() => source.subjectToken(binding))).toMatch(/^source_refused/u);
    expect(github.requests).toHaveLength(1);
  });
  test.each([
    ['an answer without end', (size: number) => 'x'.repeat(size), 70_000],
    ['an answer that is no JWT', () => '{"value":"opaque"}', 0],
    [
      'a token for somebody else',
      () => JSON.stringify({ value: outside.token({ aud: 'bulla:x:y' }), count: 1 }),
      0,
    ],
  ])('refuses %s', async (_, body, size) => {
    github.respond = (_request, response) => {
      response.end(body(size));
      return true;
    };
    const source = githubActions(github.env);
    expect(await failureOf(() => source.subjectToken(binding))).toMatch(/^source_answer_invalid/u);
  });
  test('gives up, and quotes nothing', async () => {
    github.respond = () => true;
    const source = githubActions(github.env, { timeoutSeconds: 0.05 });
    const failure = await failureOf(() => source.subjectToken(binding));
    expect(failure).toBe(
      `source_unavailable: no answer from the credential's issuer at \`${github.issuer}\``,
    );
  });
});

describe('a SPIFFE source', () => {
  test('takes the JWT-SVID that a command prints', async () => {
    const { token, type } = await spiffeCommand(printing(binding)).subjectToken(binding);
    expect(type).toBe('jwt');
    expect(token.split('.')).toHaveLength(3);
  });
  test('refuses one of another audience, from a command or a file', async () => {
    expect(await failureOf(() => spiffeCommand(printing('x')).subjectToken(binding))).toMatch(
      /^source_answer_invalid/u,
    );
    const file = write(outside.token({ aud: ['x'] }));
    expect(await failureOf(() => spiffeFile(file).subjectToken(binding))).toMatch(/^source_answer_invalid/u);
  });
  test('reads the file again each time', async () => {
    const first = outside.token({ aud: [binding], n: 1 });
    const source = spiffeFile(write(`${first}\n`));
    expect((await source.subjectToken(binding)).token).toBe(first);
    const second = outside.token({ aud: [binding], n: 2 });
    write(second);
    expect((await source.subjectToken(binding)).token).toBe(second);
  });
  test('quotes nothing of a command that fails', async () => {
    const source = spiffeCommand([
      process.execPath,
      '-e',
      'console.error("eyJ.secret"); process.exit(1)',
      '{binding}',
    ]);
    const failure = await failureOf(() => source.subjectToken(binding));
    expect(failure).toMatch(/^source_unavailable: the command `[^`]+` failed or took too long$/u);
  });
  test('refuses a command that would not be told the audience', async () => {
    expect(await failureOf(() => spiffeCommand(['spire-agent', 'api']))).toMatch(/^config_invalid/u);
  });
});

describe('oidcClientCredentials', () => {
  test('asks as Auth0 wants it, with the secret of now', async () => {
    const forms: URLSearchParams[] = [];
    const token = outside.token({ iss: 'idp' });
    const fetch: typeof globalThis.fetch = async (_url, init) => {
      forms.push(new URLSearchParams(init?.body as string));
      return new Response(JSON.stringify({ access_token: token, token_type: 'Bearer' }));
    };
    let secret = 'first secret';
    const tokenEndpoint = 'https://idp.example/oauth/token';
    const options = { tokenEndpoint, clientId: 'm2m', audience: 'https://api.example', fetch };
    const source = oidcClientCredentials({ ...options, clientSecret: () => secret });
    expect(await source.subjectToken(binding)).toEqual({ token, type: 'access_token' });
    secret = 'second secret';
    await source.subjectToken(binding);
    expect(forms.map((form) => form.get('client_secret'))).toEqual(['first secret', 'second secret']);
    expect(Object.fromEntries(forms[0] ?? [])).toMatchObject({
      grant_type: 'client_credentials',
      client_id: 'm2m',
      audience: 'https://api.example',
    });
  });
  test('tells the word of an IdP that refuses, and nothing else', async () => {
    const fetch: typeof globalThis.fetch = async () =>
      new Response(JSON.stringify({ error: 'invalid_client', error_description: 'secret' }), { status: 401 });
    const source = oidcClientCredentials({
      tokenEndpoint: 'https://idp.example/token',
      clientId: 'm2m',
      clientSecret: 'x',
      fetch,
    });
    const error = await Promise.resolve(source.subjectToken(binding)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'source_refused', reason: 'invalid_client', status: 401 });
    expect(String(error)).not.toContain('secret');
  });
});

describe('tokenFile', () => {
  test('gives what the file holds, as it is called', async () => {
    const token = outside.token({});
    expect(await tokenFile(write(token), 'access_token').subjectToken(binding)).toEqual({
      token,
      type: 'access_token',
    });
  });
  test('says what is missing', async () => {
    const missing = path.join(folder, 'nothing');
    const failure = await failureOf(() => tokenFile(missing, 'jwt').subjectToken(binding));
    expect(failure).toBe(`source_unavailable: the file \`${missing}\` cannot be read`);
  });
});
