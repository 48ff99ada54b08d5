import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { OutsideIssuer } from '../kit/federation.ts';
import { Desk } from './desk.ts';

let desk: Desk;
let agent: string;
const outside = new OutsideIssuer();
const next = new OutsideIssuer('EdDSA');
const { thumbprint } = outside;
beforeAll(async () => {
  desk = await Desk.withIssuer();
  const owner = await desk.addPerson();
  agent = String((await desk.json('admin', 'agent', 'add', '--owner', owner.id, '--keyless'))['agent']);
});
afterAll(async () => {
  await desk.close();
});

const jwks = (...keys: readonly unknown[]): string => desk.write('keys.json', JSON.stringify({ keys }));
const trust = (name: string, ...more: readonly string[]): Promise<Record<string, unknown>> =>
  desk.json('admin', 'federation', 'trust', name, '--agent', agent, ...more);
const failure = (...more: readonly string[]): Promise<string> =>
  desk.failure(['admin', 'federation', 'trust', 'no', '--agent', agent, ...more]);
const show = (name: string): Promise<Record<string, unknown>> =>
  desk.json('admin', 'federation', 'show', name);

describe('an agent without a key', () => {
  test('is registered, and shows none', async () => {
    expect(await desk.json('admin', 'agent', 'show', agent)).toMatchObject({ status: 'active', keys: [] });
  });
  test('is told apart from one with a key', async () => {
    const owner = await desk.addPerson();
    const add = ['admin', 'agent', 'add', '--owner', owner.id];
    expect(await desk.failure(add)).toBe('2 argument_invalid');
    expect(await desk.failure([...add, '--keyless', '--key', 'x'])).toBe('2 argument_invalid');
  });
});

describe('what an agent may do with a vouched key', () => {
  test('is listed, replaced and emptied', async () => {
    const vouch = (...more: readonly string[]) => desk.json('admin', 'agent', 'vouch', agent, ...more);
    const listed = async (): Promise<unknown> =>
      (await desk.json('admin', 'agent', 'show', agent))['vouched'];
    expect(await vouch('write', 'read', 'read')).toMatchObject({ done: 'agent.vouch' });
    expect(await listed()).toEqual(['read', 'write']);
    await vouch('read');
    expect(await listed()).toEqual(['read']);
    await vouch('--none');
    expect(await listed()).toEqual([]);
  });
  test('is not emptied by accident', async () => {
    expect(await desk.failure(['admin', 'agent', 'vouch', agent])).toBe('2 argument_invalid');
    expect(await desk.failure(['admin', 'agent', 'vouch', agent, 'read', '--none'])).toBe(
      '2 argument_invalid',
    );
  });
});

describe('a trust in GitHub Actions', () => {
  test('pins the keys of a file, and says what tokens must claim', async () => {
    const file = jwks({ ...outside.jwk, kid: 'a', use: 'sig' }, { ...next.jwk, use: 'enc' }, { kty: 'oct' });
    const where = ['--ref', 'refs/heads/main', '--environment', 'prod', '--repository-id', '74'];
    const done = await trust(
      'deploy',
      '--github',
      'acme/orders',
      ...where,
      '--event',
      'push',
      '--jwks',
      file,
    );
    expect(done).toMatchObject({ done: 'federation.trust', keys: [thumbprint], skipped: 2, source: file });
    expect(await show('deploy')).toMatchObject({
      name: 'deploy',
      status: 'trusted',
      profile: 'github',
      issuer: 'https://token.actions.githubusercontent.com',
      agent,
      audience: null,
      keys: [thumbprint],
      claims: {
        repository: 'acme/orders',
        repository_id: '74',
        ref: 'refs/heads/main',
        environment: 'prod',
        event_name: 'push',
      },
    });
  });
  test('tells what else it lets in', async () => {
    const args = ['admin', 'federation', 'trust', 'loose', '--agent', agent, '--github', 'acme/orders'];
    const loose = await desk.run([...args, '--jwks', jwks(outside.jwk)]);
    expect(loose.exit).toBe(0);
    expect(loose.stderr).toContain('--repository-id');
    expect(loose.stderr).toContain('--ref');
    expect(loose.stdout).toContain(`pinned ${thumbprint}`);
    const tight = await desk.run([
      ...args,
      '--repository-id',
      '74',
      '--ref',
      'x',
      '--jwks',
      jwks(outside.jwk),
    ]);
    expect(tight.stderr).not.toContain('--repository-id');
  });
  test('shows which key is new when it is replaced', async () => {
    await trust('rotated', '--github', 'acme/orders', '--jwks', jwks(outside.jwk));
    const args = ['admin', 'federation', 'trust', 'rotated', '--agent', agent, '--github', 'acme/orders'];
    const { stdout } = await desk.run([...args, '--jwks', jwks(outside.jwk, next.jwk)]);
    expect(stdout).toContain(`pinned ${next.thumbprint} (new)`);
    expect(stdout).not.toContain(`pinned ${thumbprint} (new)`);
  });
});

test('a trust in a SPIFFE workload pins the JWT keys of its bundle', async () => {
  const bundle = jwks({ ...outside.jwk, use: 'x509-svid' }, { ...next.jwk, use: 'jwt-svid' });
  await trust('billing', '--spiffe', 'spiffe://prod.example/billing', '--bundle', bundle);
  expect(await show('billing')).toMatchObject({
    profile: 'spiffe',
    issuer: 'spiffe://prod.example',
    claims: { sub: 'spiffe://prod.example/billing' },
    keys: [next.thumbprint],
  });
});

test('one key of several is pinned where it is named', async () => {
  const file = jwks(outside.jwk, next.jwk);
  const idp = ['--issuer', 'https://idp.example', '--claim', 'sub=robot', '--jwks', file];
  const like = ['--like', 'https://idp.example/kind=auto*', '--audience', 'bulla'];
  expect(await trust('idp', ...idp, ...like, '--pin', next.thumbprint)).toMatchObject({
    keys: [next.thumbprint],
  });
  expect(await show('idp')).toMatchObject({
    profile: 'oidc',
    audience: 'bulla',
    claims: { sub: 'robot', 'https://idp.example/kind': { like: 'auto*' } },
  });
  expect(await failure(...idp, '--pin', new OutsideIssuer().thumbprint)).toBe('3 key_set_unusable');
});

test('trusts are listed, and distrusted for ever', async () => {
  const how = ['--issuer', 'https://idp.example', '--claim', 'sub=x', '--jwks', jwks(outside.jwk)];
  await trust('gone', ...how);
  expect(await desk.json('admin', 'federation', 'distrust', 'gone')).toMatchObject({
    done: 'federation.distrust',
  });
  const { federations } = await desk.json('admin', 'federation', 'list');
  expect(federations).toContainEqual(expect.objectContaining({ name: 'gone', status: 'distrusted' }));
  expect(await desk.failure(['admin', 'federation', 'trust', 'gone', '--agent', agent, ...how])).toBe(
    '3 rule_federation_dead',
  );
  expect(await desk.failure(['admin', 'federation', 'distrust', 'gone'])).toBe('3 rule_federation_unknown');
  expect(await desk.failure(['admin', 'federation', 'show', 'never'])).toBe('3 subject_unknown');
});

describe('what does not fit together is refused before anything is fetched or signed', () => {
  test.each<[string, readonly string[]]>([
    ['nobody named', ['--claim', 'sub=x']],
    ['two named', ['--github', 'acme/orders', '--spiffe', 'spiffe://a/b']],
    ['SPIFFE and an issuer', ['--issuer', 'https://idp.example', '--spiffe', 'spiffe://a/b']],
    ['an issuer without claims', ['--issuer', 'https://idp.example']],
    ['a claim without a value', ['--issuer', 'https://idp.example', '--claim', 'sub']],
    ['a claim twice', ['--issuer', 'https://idp.example', '--claim', 'sub=a', '--like', 'sub=b*']],
    ['an owner alone', ['--github', 'acme']],
    ['a wildcard for the repository', ['--github', 'acme/*']],
    ['a SPIFFE domain alone', ['--spiffe', 'spiffe://prod.example']],
    ['SPIFFE without a bundle', ['--spiffe', 'spiffe://prod.example/x']],
  ])('%s', async (_name, args) => {
    expect(await failure(...args)).toBe('2 argument_invalid');
  });
});

describe('a key set', () => {
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    server = undefined;
  });
  type Answer = (path: string, response: ServerResponse, origin: string) => void;
  async function serving(answer: Answer): Promise<string> {
    server = createServer((request, response) => answer(request.url ?? '', response, origin));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return origin;
  }
  const idp = (issuer: string): readonly string[] => ['--issuer', issuer, '--claim', 'sub=x'];

  test('is found by discovery', async () => {
    const origin = await serving((path, response, issuer) => {
      const document = { issuer, jwks_uri: `${issuer}/keys` };
      response.end(JSON.stringify(path === '/keys' ? { keys: [outside.jwk] } : document));
    });
    expect(await trust('found', ...idp(origin))).toMatchObject({
      keys: [thumbprint],
      source: `${origin}/keys`,
    });
  });

  test.each<[string, Answer, string]>([
    [
      'found by the document of another issuer',
      (_path, response) =>
        response.end('{"issuer":"https://evil.example","jwks_uri":"https://evil.example/k"}'),
      '3 key_set_unusable',
    ],
    [
      'found in the network of the admin',
      (path, response, issuer) => {
        const elsewhere = issuer.replace('127.0.0.1', 'localhost');
        const document = { issuer, jwks_uri: `${elsewhere}/keys` };
        response.end(JSON.stringify(path === '/keys' ? { keys: [outside.jwk] } : document));
      },
      '5 key_set_unavailable',
    ],
    [
      'found in a file of the admin',
      (_path, response, issuer) => response.end(JSON.stringify({ issuer, jwks_uri: '/etc/passwd' })),
      '3 key_set_unusable',
    ],
    [
      'behind a redirect',
      (_path, response) => response.writeHead(302, { location: '/elsewhere' }).end(),
      '5 key_set_unavailable',
    ],
    ['not there', (_path, response) => response.writeHead(404).end(), '5 key_set_unavailable'],
    ['larger than the cap', (_path, response) => response.end('x'.repeat(300_000)), '5 key_set_unavailable'],
    ['no JSON', (_path, response) => response.end('<html>'), '3 key_set_unusable'],
    [
      'with a member twice',
      (_path, response) => response.end('{"issuer":"a","issuer":"b"}'),
      '3 key_set_unusable',
    ],
  ])('%s is refused', async (_name, answer, code) => {
    expect(await failure(...idp(await serving(answer)))).toBe(code);
  });

  test.each<[string, unknown, string]>([
    ['without keys', { keys: [] }, '3 key_set_unusable'],
    ['with keys that are no list', { keys: {} }, '3 key_set_unusable'],
    ['with secrets alone', { keys: [{ kty: 'oct', k: 'AAAA' }] }, '3 key_set_unusable'],
  ])('%s is refused', async (_name, document, code) => {
    const file = desk.write('odd.json', JSON.stringify(document));
    expect(await failure(...idp('https://idp.example'), '--jwks', file)).toBe(code);
  });
  test('that is not on this disk is refused', async () => {
    expect(await failure(...idp('https://idp.example'), '--jwks', '/nowhere.json')).toBe(
      '5 key_set_unavailable',
    );
  });
});
