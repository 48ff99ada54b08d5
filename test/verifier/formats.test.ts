import { createSigner, generatePrivateJwk, parsePublicJwk, Refusal } from '@bulla/verifier';
import {
  canonicalJson,
  decodeBase64url,
  parseJson,
  parseJws,
  signJws,
  verifyJws,
} from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return 'accepted';
};

const profile = { typ: 'sample+jwt', members: ['kid'] };

describe('strict base64url', () => {
  test.each(['YQ==', 'Y Q', 'YR', 'Y', 'YQ+/', 'YQ\n'])('%j is refused', (text) => {
    expect(codeOf(() => decodeBase64url(text))).toBe('encoding_invalid');
  });
  test('the one spelling is accepted', () => {
    expect(decodeBase64url('YQ').toString()).toBe('a');
  });
});

describe('strict JSON', () => {
  test.each([
    ['{"a":1,"a":2}', 'a repeated member'],
    ['{"a":{"b":1,"b":2}}', 'a repeated member inside'],
    ['[1.5]', 'a fraction'],
    ['[9007199254740993]', 'an integer over 2^53'],
    ['{"a":1,"\\u0061":2}', 'a repeated member in another spelling'],
    ['', 'nothing'],
    [`${'['.repeat(80)}${']'.repeat(80)}`, 'deep nesting'],
  ])('%s is refused: %s', (text) => {
    expect(codeOf(() => parseJson(Buffer.from(text)))).toBe('json_invalid');
  });
  test('invalid UTF-8 is refused', () => {
    expect(codeOf(() => parseJson(Buffer.from([0x22, 0xff, 0x22])))).toBe('json_invalid');
  });
  test('colons inside strings do not count as members', () => {
    expect(parseJson(Buffer.from('{"a":"b:c\\":d","e":[":"]}'))).toEqual({ a: 'b:c":d', e: [':'] });
  });
  test('canonical form orders members by UTF-16 code units', () => {
    expect(canonicalJson({ b: 1, a: [true, null], '\u20ac': 'x', A: {} })).toBe(
      '{"A":{},"a":[true,null],"b":1,"€":"x"}',
    );
  });
});

describe.each(['Ed25519', 'P-256'] as const)('a JWS by a key on %s', (curve) => {
  const signer = createSigner(generatePrivateJwk(curve));
  const other = createSigner(generatePrivateJwk(curve));
  const compact = signJws('sample+jwt', { kid: 'k' }, { hello: 'world' }, signer);

  test('verifies', () => {
    const jws = parseJws(compact, profile);
    verifyJws(jws, signer.publicKey);
    expect(jws.payload).toEqual({ hello: 'world' });
  });
  test('by another key is refused', () => {
    expect(codeOf(() => verifyJws(parseJws(compact, profile), other.publicKey))).toBe(
      'jws_signature_invalid',
    );
  });
  test('of another type is refused', () => {
    expect(codeOf(() => parseJws(compact, { typ: 'dpop+jwt', members: ['kid'] }))).toBe('jws_type_wrong');
  });
  test.each(['none', 'HS256', 'RS256'])('whose header says %s is refused', (alg) => {
    const [, payload, signature] = compact.split('.');
    const header = Buffer.from(JSON.stringify({ alg, typ: 'sample+jwt', kid: 'k' })).toString('base64url');
    const jws = parseJws([header, payload, signature].join('.'), profile);
    expect(codeOf(() => verifyJws(jws, signer.publicKey))).toBe('jws_algorithm_wrong');
  });
  test.each(['crit', 'jku', 'jwk', 'x5u'])('with `%s` in the header is refused', (member) => {
    const odd = signJws('sample+jwt', { kid: 'k', [member]: ['exp'] }, {}, signer);
    expect(codeOf(() => parseJws(odd, profile))).toBe('jws_header_invalid');
  });
});

describe('public keys', () => {
  const smallOrder = [
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    'JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU',
    '7P________________________________________8',
  ];
  test.each(smallOrder)('small-order Ed25519 %s is refused', (x) => {
    expect(codeOf(() => parsePublicJwk({ kty: 'OKP', crv: 'Ed25519', x }))).toBe('key_invalid');
  });
  test('non-canonical Ed25519 is refused', () => {
    const x = Buffer.concat([Buffer.from([0xee]), Buffer.alloc(30, 0xff), Buffer.from([0x7f])]);
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') };
    expect(codeOf(() => parsePublicJwk(jwk))).toBe('key_invalid');
  });
  test('a private key in a public place is refused', () => {
    expect(codeOf(() => parsePublicJwk(generatePrivateJwk()))).toBe('key_invalid');
  });
});
