import { canonicalJson, encodeBase64url } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { ApiWorld } from '../../kit/api.ts';
import { signRaw, unpack } from '../../kit/wire.ts';

const encode = (text: string) => encodeBase64url(Buffer.from(text));

/** A root whose payload is this very text, signed by the mint. */
function rootOf(world: ApiWorld, payload: string): string {
  return signRaw(canonicalJson(unpack(world.envelope()).header), payload, world.mint);
}

/** An honest root with claims changed (`undefined` removes one), signed again by the mint. */
function rootWith(world: ApiWorld, change: Readonly<Record<string, unknown>>): string {
  return rootOf(world, JSON.stringify({ ...world.claims(), ...change }));
}

describe('JSON with two readings is refused', () => {
  test.each<[string, (claims: string) => string]>([
    ['a claim twice, the wider last', (json) => json.replace(/\}$/u, ',"depth":16}')],
    ['a claim twice, the wider first', (json) => json.replace('{', '{"depth":16,')],
    ['a claim twice, one spelled with an escape', (json) => json.replace('{', '{"\\u0064epth":16,')],
    ['a member of `cnf` twice', (json) => json.replace('"cnf":{', '"cnf":{"jkt":"x",')],
    ['a member twice inside `narrow`', (json) => json.replace('"narrow":[]', '"narrow":[{"a":1,"a":2}]')],
    ['a byte order mark', (json) => `\uFEFF${json}`],
    ['a fraction', (json) => json.replace(/"depth":\d+/u, '"depth":4.5')],
    ['an integer written as a fraction of a large one', (json) => json.replace(/"iat":\d+/u, '"iat":1e400')],
    ['an integer over 2^53', (json) => json.replace(/"exp":\d+/u, '"exp":9007199254740993')],
    ['text after the object', (json) => `${json}{}`],
    ['a comment', (json) => `${json}//`],
    ['a single quote', (json) => json.replaceAll('"', "'")],
    ['NaN', (json) => json.replace(/"exp":\d+/u, '"exp":NaN')],
    ['a list', (json) => `[${json}]`],
    ['null', () => 'null'],
    ['nothing much', () => '""'],
  ])('%s', async (_, change) => {
    const world = new ApiWorld();
    const json = JSON.stringify(world.claims());
    expect(change(json)).not.toBe(json);
    expect(await world.outcome(rootOf(world, change(json)))).toBe('json_invalid');
  });

  test('bytes that are not UTF-8', async () => {
    const world = new ApiWorld();
    const { header } = unpack(world.envelope());
    const bytes = Buffer.from(JSON.stringify(world.claims({ iss: 'X' })));
    bytes[bytes.indexOf('"X"') + 1] = 0xff;
    const input = `${encode(canonicalJson(header))}.${bytes.toString('base64url')}`;
    const signature = encodeBase64url(world.mint.sign(Buffer.from(input)));
    expect(await world.outcome(`${input}.${signature}`)).toBe('json_invalid');
  });

  test('nesting over the cap, in every place that holds JSON', async () => {
    const world = new ApiWorld();
    const deep = `${'['.repeat(65)}${']'.repeat(65)}`;
    const narrow = JSON.stringify(world.claims()).replace('"narrow":[]', `"narrow":${deep}`);
    expect(await world.outcome(rootOf(world, narrow))).toBe('json_invalid');
    const bottomless = `${'['.repeat(2600)}${']'.repeat(2600)}`;
    expect(await world.outcome(rootOf(world, bottomless))).toBe('json_invalid');
    const header = signRaw(`{"alg":${deep}}`, '{}', world.mint);
    expect(await world.outcome(header)).toBe('json_invalid');
  });
});

describe('base64url has one spelling', () => {
  const spellings: readonly [string, (part: string) => string, string][] = [
    ['padding', (part) => `${part}=`, 'authorization_malformed'],
    ['white space', (part) => `${part.slice(0, 8)} ${part.slice(8)}`, 'authorization_malformed'],
    ['a line break', (part) => `${part.slice(0, 8)}\n${part.slice(8)}`, 'authorization_malformed'],
    ['the other alphabet', (part) => `${part.slice(0, 8)}+${part.slice(9)}`, 'authorization_malformed'],
    ['a dot in the middle', (part) => `${part.slice(0, 8)}.${part.slice(8)}`, 'jws_malformed'],
  ];
  const tilde = (part: string): string => `${part.slice(0, 8)}~${part.slice(8)}`;

  // What is left of a root is judged before a block is looked at.
  test.each([
    [0, 'jws_malformed'],
    [1, 'jws_malformed'],
    [2, 'envelope_signature_invalid'],
  ])('a tilde in the middle of part %i', async (index, code) => {
    const world = new ApiWorld();
    const parts = world.envelope().split('.');
    parts[index] = tilde(parts[index] ?? '');
    expect(await world.outcome(parts.join('.'))).toBe(code);
  });

  test.each(spellings.flatMap((row) => [0, 1, 2].map((index) => [row[0], index, row[1], row[2]] as const)))(
    '%s in part %i',
    async (_, index, respell, code) => {
      const world = new ApiWorld();
      const parts = world.envelope().split('.');
      parts[index] = respell(parts[index] ?? '');
      expect(await world.outcome(parts.join('.'))).toBe(code);
    },
  );

  test('bits that decode to nothing', async () => {
    const world = new ApiWorld();
    const envelope = world.envelope();
    // 64 bytes of signature leave 4 unused bits in the last character.
    const last = envelope.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = alphabet[alphabet.indexOf(last) + 1] ?? '';
    expect(Buffer.from(envelope.slice(-86), 'base64url')).toEqual(
      Buffer.from(envelope.slice(-86, -1) + twin, 'base64url'),
    );
    expect(await world.outcome(envelope.slice(0, -1) + twin)).toBe('encoding_invalid');
  });
});

describe('sizes are capped before anything is parsed', () => {
  test.each([7169, 7168 + 17, 1_000_000])('an envelope of %i bytes', async (size) => {
    const world = new ApiWorld();
    expect(await world.outcome('a'.repeat(size))).toBe('envelope_too_large');
  });

  test('one of 7,168 bytes is read', async () => {
    const world = new ApiWorld();
    expect(await world.outcome('a'.repeat(7168))).toBe('jws_malformed');
  });

  test.each<[string, string]>([
    ['one tilde', '~'],
    ['tildes alone', '~'.repeat(7000)],
    ['dots alone', '.'.repeat(7000)],
    ['parts without content', '..~..~..'],
  ])('%s', async (_, text) => {
    const world = new ApiWorld();
    expect(['jws_malformed', 'envelope_malformed']).toContain(await world.outcome(text));
  });
});

describe('claims of the root are exact', () => {
  const required = 'iss aud sub jti iat exp account epoch cnf key policy narrow depth'.split(' ');
  test.each(required)('without %s', async (name) => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, { [name]: undefined }))).toBe('envelope_claim_invalid');
  });

  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['an unknown claim', { scope: 'admin' }],
    ['a claim of RFC 7519 that has no meaning here', { nbf: 0 }],
    ['`act`, which is computed and never read', { act: { sub: 'prn_boss' } }],
    ['an own `__proto__`', JSON.parse('{"__proto__":{"depth":16}}') as Record<string, unknown>],
    ['`constructor`', { constructor: {} }],
    ['`aud` as text', { aud: 'https://api.example' }],
    ['`aud` empty', { aud: [] }],
    ['`aud` with one twice', { aud: ['https://api.example', 'https://api.example'] }],
    ['nine in `aud`', { aud: Array.from({ length: 9 }, (_, index) => `https://${String(index)}.example`) }],
    ['`exp` as text', { exp: '1800000400' }],
    ['`exp` not after `iat`', { exp: 1 }],
    ['`iat` below zero', { iat: -1 }],
    ['`depth` below zero', { depth: -1 }],
    ['`depth` over the cap', { depth: 17 }],
    ['`key` of a kind to come', { key: 'federated' }],
    ['`cnf` with a whole key', { cnf: { jwk: {} } }],
    ['`cnf` with two members', { cnf: { jkt: 'x', jwk: {} } }],
    ['`narrow` as an object', { narrow: {} }],
    ['`staleness` as text', { staleness: '1' }],
    ['`staleness` below zero', { staleness: -1 }],
    ['an agent without an epoch', { epoch: { principal: 1 } }],
    ['an epoch without an agent', { client_id: undefined }],
    ['a third epoch', { epoch: { principal: 1, agent: 0, key: 0 } }],
    ['an empty `jti`', { jti: '' }],
    ['a long `jti`', { jti: 'j'.repeat(129) }],
  ])('with %s', async (_, change) => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, change))).toBe('envelope_claim_invalid');
  });

  test('the claims these rows change are accepted as they were', async () => {
    const world = new ApiWorld();
    expect(await world.outcome(rootWith(world, {}))).toBe('allow');
  });
});
