import type { LookupAddress } from 'node:dns';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseOutsideJwk } from '@bulla/verifier/envelope';
import { afterEach, describe, expect, test } from 'vitest';
import { ExchangeWorld } from '../../kit/exchange.ts';
import { OutsideIssuer } from '../../kit/federation.ts';
import type { IssuerWorldOptions } from '../../kit/issuer.ts';
import { published } from '../../kit/outside-server.ts';

const open: ExchangeWorld[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

async function create(options?: IssuerWorldOptions): Promise<ExchangeWorld> {
  const world = await ExchangeWorld.create(options);
  open.push(world);
  return world;
}

const unavailable = { status: 503, error: 'temporarily_unavailable', code: 'key_set_unavailable' };
const reasonOf = (world: ExchangeWorld): unknown =>
  world.issuer.lines.findLast(({ event }) => event === 'federation.keys_unavailable')?.['reason'];

describe('what an outside issuer, or whoever sits between, may answer with', () => {
  const answers: readonly (readonly [string, NonNullable<ExchangeWorld['server']['answer']>, string])[] = [
    ['nothing', () => undefined, 'no answer in time'],
    [
      'a body that never ends',
      (_, response) => {
        const more = (): void => {
          while (response.write('x'.repeat(65_536)));
          response.once('drain', more);
        };
        more();
      },
      'answer is too large',
    ],
    [
      'a redirect',
      (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'redirects are not followed',
    ],
    ['an error', (_, response) => response.writeHead(500).end('{}'), 'answer is not 200'],
    [
      'compressed content',
      (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(),
      'answer is compressed',
    ],
    [
      'half an answer',
      (_, response) => response.writeHead(200, { 'content-length': '9' }).write('{') && response.destroy(),
      'no connection',
    ],
    ['no JSON', (_, response) => response.end('<html>'), 'answer is not a key set'],
    [
      'a repeated member',
      (_, response) => response.end('{"issuer":"a","issuer":"b"}'),
      'answer is not a key set',
    ],
    [
      'the discovery of another issuer',
      (_, response) =>
        response.end('{"issuer":"https://other.example","jwks_uri":"https://other.example/jwks"}'),
      'discovery names another issuer',
    ],
  ];
  test.each(answers)('%s', async (_, answer, reason) => {
    const world = await create({ account: { keySetTimeoutSeconds: 0.2 } });
    await world.trust();
    world.server.answer = answer;
    expect(await world.exchange(world.github())).toMatchObject(unavailable);
    expect(reasonOf(world)).toMatch(
      new RegExp(reason === 'no connection' ? 'no connection|broke off' : reason, 'u'),
    );
  });

  test('a key set that gives one `kid` to two keys', async () => {
    const world = await create();
    await world.trust();
    world.server.keys = [published(new OutsideIssuer('ES256'), 'k1'), published(world.outside, 'k1')];
    expect(await world.exchange(world.github())).toMatchObject(unavailable);
    expect(reasonOf(world)).toBe('key set repeats a `kid`');
  });

  test('a key set on another machine of the network', async () => {
    const world = await create();
    await world.trust();
    const [url] = [world.server.url];
    for (const elsewhere of ['http://10.0.0.1/jwks', 'http://169.254.169.254/latest', 'file:///etc/passwd']) {
      world.issuer.ahead += 31;
      world.server.answer = (_, response) =>
        response.end(JSON.stringify({ issuer: url, jwks_uri: elsewhere }));
      expect(await world.exchange(world.github())).toMatchObject(unavailable);
      expect(reasonOf(world)).toMatch(/address is not (?:allowed|https)/u);
    }
  });
});

describe('addresses inside the network are not connected to', () => {
  const shut = { account: { federations: [] } };

  test('unless the operator says so: nor over http', async () => {
    const world = await create(shut);
    await world.trust();
    expect(await world.exchange(world.github())).toMatchObject(unavailable);
    expect(reasonOf(world)).toBe('address is not https');
    expect(world.server.asked).toEqual([]);
  });

  test.each([
    'https://127.0.0.1:8443',
    'https://[::1]:8443',
    'https://[::ffff:127.0.0.1]',
    'https://[fd00::1]',
    'https://[2002:7f00:1::]',
    'https://10.1.2.3',
    'https://172.16.0.1',
    'https://192.168.1.1',
    'https://169.254.169.254',
    'https://100.64.0.1',
    'https://0.0.0.0',
    'https://0x7f.1',
  ])('%s', async (url) => {
    const world = await create({
      account: { federations: [{ name: 'mesh', jwksUrl: url, dangerouslyAllowPrivateAddresses: false }] },
    });
    await world.trust({ name: 'mesh' });
    expect(await world.exchange(world.github())).toMatchObject(unavailable);
    expect(reasonOf(world)).toBe('address is not allowed');
  });

  test('a name that resolves to one, also beside a public one, also the second time only', async () => {
    const addresses: LookupAddress[][] = [
      [{ address: '127.0.0.1', family: 4 }],
      [
        { address: '192.0.32.7', family: 4 },
        { address: '::1', family: 6 },
      ],
      [{ address: '10.0.0.7', family: 4 }],
    ];
    let asked = 0;
    const world = await create({
      account: {
        federations: [
          { name: 'mesh', jwksUrl: 'https://idp.example/jwks', dangerouslyAllowPrivateAddresses: false },
        ],
      },
      ports: {
        lookup: (_name, _options, callback) => callback(null, addresses[asked++] ?? []),
      },
    });
    await world.trust({ name: 'mesh' });
    for (const _ of addresses) {
      expect(await world.exchange(world.github())).toMatchObject(unavailable);
      expect(reasonOf(world)).toBe('address is not allowed');
      world.issuer.ahead += 31;
    }
    expect(asked).toBe(3);
  });
});

describe('keys of an outside issuer', () => {
  test('that it rotated to are refused until the log pins them, and an admin can see which', async () => {
    const world = await create();
    await world.trust();
    expect((await world.exchange(world.github())).status).toBe(200);
    const next = new OutsideIssuer('ES256');
    world.server.keys = [published(world.outside, 'k1'), published(next, 'k2')];
    world.issuer.ahead = 31;
    const claims = JSON.parse(Buffer.from(world.github().split('.')[1] ?? '', 'base64url').toString());
    const token = next.token(claims, { kid: 'k2' });
    expect(await world.exchange(token)).toMatchObject({
      error: 'invalid_request',
      code: 'federation_keys_changed',
    });
    expect((await world.exchange(world.github())).status).toBe(200);
    const told = world.issuer.lines.filter(({ event }) => event === 'federation.keys_changed');
    expect(told).toMatchObject([{ level: 'warn', federation: 'build', unpinned: next.thumbprint }]);
    await world.trust({ keys: [world.outside.thumbprint, next.thumbprint] });
    expect((await world.exchange(token)).status).toBe(200);
  });

  test('that were swapped under the same name by whoever serves the key set change nothing', async () => {
    const world = await create();
    await world.trust();
    const mallory = new OutsideIssuer('RS256');
    world.server.keys = [published(mallory, 'k1')];
    const claims = JSON.parse(Buffer.from(world.github().split('.')[1] ?? '', 'base64url').toString());
    expect((await world.exchange(mallory.token(claims))).code).toBe('federation_keys_changed');
    expect((await world.exchange(world.github())).code).toBe('federation_keys_changed');
  });

  test('that are new under an old name count as soon as the log pins them, not when the old set has aged', async () => {
    const world = await create();
    await world.trust();
    const github = world.github();
    expect((await world.exchange(github)).status).toBe(200);
    const next = new OutsideIssuer('RS256');
    world.server.keys = [published(next, 'k1')];
    const claims = JSON.parse(Buffer.from(github.split('.')[1] ?? '', 'base64url').toString());
    await world.trust({ keys: [next.thumbprint] });
    world.issuer.ahead = 31;
    expect((await world.exchange(next.token(claims, { kid: 'k1' }))).status).toBe(200);
  });

  test('that it withdrew serve ten minutes more, or an hour where it cannot be asked', async () => {
    const world = await create({ leaseSeconds: 86_400 });
    await world.trust();
    expect((await world.exchange(world.github())).status).toBe(200);
    world.server.answer = (_, response) => response.writeHead(500).end();
    world.issuer.ahead = 3500;
    expect((await world.exchange(world.github())).status).toBe(200);
    world.issuer.ahead = 3700;
    expect(await world.exchange(world.github())).toMatchObject(unavailable);
    world.server.answer = undefined;
    world.issuer.ahead = 3800;
    expect((await world.exchange(world.github())).status).toBe(200);
    world.server.keys = [];
    world.issuer.ahead = 4500;
    expect((await world.exchange(world.github())).code).toBe('subject_token_refused');
  });

  test('are asked for once in the cooldown, whatever tokens strangers send, and together', async () => {
    const world = await create();
    await world.trust();
    const storm = Array.from({ length: 20 }, async (_, index) =>
      world.exchange(world.outside.token({ iss: world.server.url }, { kid: `made-up-${index}` })),
    );
    const codes = new Set((await Promise.all(storm)).map(({ code }) => code));
    expect(codes).toEqual(new Set(['subject_token_refused']));
    expect(world.server.asked).toEqual(['/.well-known/openid-configuration', '/.well-known/jwks']);
    expect((await world.exchange(world.github())).status).toBe(200);
    await world.exchange(world.outside.token({ iss: world.server.url }, { kid: 'made-up-later' }));
    expect(world.server.asked).toHaveLength(2);
    world.issuer.ahead = 31;
    await world.exchange(world.outside.token({ iss: world.server.url }, { kid: 'made-up' }));
    expect(world.server.asked).toHaveLength(4);
  });

  test('are asked for once for all trusts in one issuer, however many a made-up token fits', async () => {
    const world = await create();
    const account = world.issuer.config.accounts[0];
    if (account === undefined) throw new Error('no account');
    const names = Array.from({ length: 17 }, (_, index) => `build-${index}`);
    const federations = names.map((name) => ({ name, dangerouslyAllowPrivateAddresses: true }));
    Object.assign(account, { federations });
    await world.issuer.restart();
    for (const name of names.slice(1))
      await world.trust({ name, claims: { repository: `octo-org/${name}` } });
    const repository = names.map((name) => `octo-org/${name}`);
    const made = (kid: string): string => world.outside.token({ iss: world.server.url, repository }, { kid });
    expect((await world.exchange(made('made-up'))).code).toBe('federation_unknown');
    expect(world.server.asked).toEqual(['/.well-known/openid-configuration', '/.well-known/jwks']);
    expect((await world.exchange(world.github({ repository: 'octo-org/build-7' }))).status).toBe(200);
    expect(world.server.asked).toHaveLength(2);
    await world.trust({ name: 'build-0', claims: { repository: 'octo-org/build-0' } });
    expect((await world.exchange(made('made-up'))).code).toBe('federation_ambiguous');
    expect((await world.exchange(world.github({ repository: 'octo-org/build-7' }))).status).toBe(200);
  });

  test('may come from a file, which is read again when it is needed', async () => {
    const world = await create();
    const file = join(world.issuer.dir, 'bundle.json');
    writeFileSync(file, '{"keys":[]}');
    const account = world.issuer.config.accounts[0];
    if (account === undefined) throw new Error('no account');
    Object.assign(account, {
      federations: [{ name: 'mesh', jwksFile: file, dangerouslyAllowPrivateAddresses: false }],
    });
    await world.issuer.restart();
    const domain = 'spiffe://corp.example';
    await world.trust({ name: 'mesh', profile: 'spiffe', issuer: domain, claims: { sub: `${domain}/a` } });
    const svid = (): string =>
      world.outside.token({ sub: `${domain}/a`, aud: world.binding(), exp: world.now + 300 });
    expect((await world.exchange(svid())).code).toBe('subject_token_refused');
    // Of a bundle only the keys for JWT-SVIDs count.
    writeFileSync(file, JSON.stringify({ keys: [published(world.outside, 'k1', 'x509-svid')] }));
    world.issuer.ahead = 31;
    expect((await world.exchange(svid())).code).toBe('subject_token_refused');
    writeFileSync(file, JSON.stringify({ keys: [published(world.outside, 'k1', 'jwt-svid')] }));
    world.issuer.ahead = 62;
    expect((await world.exchange(svid())).status).toBe(200);
    expect(world.server.asked).toEqual([]);
  });

  const bundle = join(
    process.env['BULLA_VECTORS'] ?? '../shared/vectors',
    'oauth-events/spiffe/go-spiffe-spiffebundle_valid_1.json',
  );
  test.skipIf(!existsSync(bundle))(
    'of a SPIFFE bundle that others made are those for JWT-SVIDs',
    async () => {
      const account = {
        federations: [{ name: 'mesh', jwksFile: bundle, dangerouslyAllowPrivateAddresses: false }],
      };
      const world = await create({ account });
      const domain = 'spiffe://local';
      await world.trust({ name: 'mesh', profile: 'spiffe', issuer: domain, claims: { sub: `${domain}/a` } });
      const claims = { sub: `${domain}/a`, aud: world.binding(), exp: world.now + 300 };
      const svid = world.outside.token(claims, { kid: 'C6vs25welZOx6WksNYfbMfiw9l96pMnD' });
      expect((await world.exchange(svid)).code).toBe('federation_keys_changed');
      const { keys } = JSON.parse(readFileSync(bundle, 'utf8')) as { readonly keys: readonly unknown[] };
      const { thumbprint } = parseOutsideJwk(keys[1]);
      const told = world.issuer.lines.filter(({ event }) => event === 'federation.keys_changed');
      expect(told).toMatchObject([{ unpinned: thumbprint }]);
      await world.trust({
        name: 'mesh',
        profile: 'spiffe',
        issuer: domain,
        keys: [thumbprint],
        claims: { sub: `${domain}/a` },
      });
      expect((await world.exchange(svid)).code).toBe('federation_token_invalid');
    },
  );

  test('of a SPIFFE trust without configured place cannot be had', async () => {
    const world = await create();
    const domain = 'spiffe://corp.example';
    await world.trust({ name: 'build', profile: 'spiffe', issuer: domain, claims: { sub: `${domain}/a` } });
    const svid = world.outside.token({ sub: `${domain}/a`, aud: world.binding(), exp: world.now + 300 });
    expect(await world.exchange(svid)).toMatchObject(unavailable);
  });
});
