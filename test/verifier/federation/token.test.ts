import { createHmac, createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  bindingOf,
  checkOutsideToken,
  type JsonObject,
  type OutsideJwk,
  parseOutsideJwk,
  parseOutsideToken,
} from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { githubClaims, OutsideIssuer, type OutsideKind, recordOf } from '../../kit/federation.ts';

const account = `acct_${'A'.repeat(43)}`;
const jkt = `${'B'.repeat(42)}E`;
const now = 1_800_000_000;
const claims = githubClaims(bindingOf(account, jkt), now);
const issuers = new Map<OutsideKind, OutsideIssuer>(
  (['RS256', 'ES256', 'ES384', 'EdDSA'] as const).map((kind) => [kind, new OutsideIssuer(kind)]),
);
const issuer = (kind: OutsideKind): OutsideIssuer => issuers.get(kind) ?? expect.fail(kind);
const rsa = issuer('RS256');
const ec = issuer('ES256');

function outcome(by: OutsideIssuer, token: string, jwk: unknown = by.jwk): string {
  return codeOf(() => checkOutsideToken(recordOf(by), { token, jwk, account, jkt, now }));
}

describe('a token', () => {
  test.each(['RS256', 'ES256', 'ES384', 'EdDSA'] as const)(
    '%s is accepted, and not after a change',
    (kind) => {
      const by = issuer(kind);
      const token = by.token(claims);
      expect(outcome(by, token)).toBe('accepted');
      const [header, payload, signature = ''] = token.split('.');
      const flipped = (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1);
      expect(outcome(by, `${header}.${payload}.${flipped}`)).toBe('federation_token_invalid');
      const other = by.token({ ...claims, repository: 'octo-org/octo-repo ' }).split('.')[1];
      expect(outcome(by, `${header}.${other}.${signature}`)).toBe('federation_token_invalid');
    },
  );
  test('an RSA key signs under RS256 and PS256, as the header says', () => {
    const header = (alg: string) => JSON.stringify({ alg, typ: 'JWT' });
    const payload = JSON.stringify(claims);
    expect(outcome(rsa, rsa.raw(header('PS256'), payload, 'PS256'))).toBe('accepted');
    expect(outcome(rsa, rsa.raw(header('PS256'), payload, 'RS256'))).toBe('federation_token_invalid');
    expect(outcome(rsa, rsa.raw(header('RS256'), payload, 'PS256'))).toBe('federation_token_invalid');
  });
  test('an RSA signature has one length: a leading zero is not left out', () => {
    // OpenSSL takes a PSS signature without it.
    let [input, signature] = ['', Buffer.alloc(0)];
    for (let id = 0; signature[0] !== 0 || id === 0; id += 1) {
      const token = rsa.raw('{"alg":"PS256"}', JSON.stringify({ ...claims, jti: String(id) }), 'PS256');
      input = token.slice(0, token.lastIndexOf('.'));
      signature = Buffer.from(token.slice(input.length + 1), 'base64url');
    }
    expect(outcome(rsa, `${input}.${signature.toString('base64url')}`)).toBe('accepted');
    expect(outcome(rsa, `${input}.${signature.subarray(1).toString('base64url')}`)).toBe(
      'federation_token_invalid',
    );
  });
  test.each([
    ['without `typ`', { typ: undefined }, 'accepted'],
    ['of type JOSE', { typ: 'JOSE' }, 'accepted'],
    ['of type at+jwt', { typ: 'at+jwt' }, 'accepted'],
    ['of type application/at+jwt', { typ: 'application/at+jwt' }, 'accepted'],
    ['with a thumbprint of a certificate', { x5t: 'abc' }, 'accepted'],
    ['with a `kid` of any form', { kid: '../../etc/passwd' }, 'accepted'],
    ['with a `kid` that is no text', { kid: 1 }, 'federation_token_invalid'],
    ['of type logout+jwt', { typ: 'logout+jwt' }, 'federation_token_invalid'],
    ['of type secevent+jwt', { typ: 'secevent+jwt' }, 'federation_token_invalid'],
    ['of a type of ours', { typ: 'bulla+jwt' }, 'federation_token_invalid'],
    ['of type dpop+jwt', { typ: 'dpop+jwt' }, 'federation_token_invalid'],
    ['with a list for `typ`', { typ: ['JWT'] }, 'federation_token_invalid'],
    ['with `crit`', { crit: ['exp'] }, 'federation_token_invalid'],
    ['with an empty `crit`', { crit: [] }, 'federation_token_invalid'],
    ['with `jku`', { jku: 'https://mallory.example/keys' }, 'federation_token_invalid'],
    ['with `jwk`', { jwk: {} }, 'federation_token_invalid'],
    ['with `x5u`', { x5u: 'https://mallory.example/cert' }, 'federation_token_invalid'],
    ['with `x5c`', { x5c: ['MII'] }, 'federation_token_invalid'],
    ['with `b64`', { b64: false }, 'federation_token_invalid'],
    ['with `cty`', { cty: 'JWT' }, 'federation_token_invalid'],
    ['with `zip`', { zip: 'DEF' }, 'federation_token_invalid'],
    ['without `alg`', { alg: undefined }, 'federation_token_invalid'],
    ['with `alg` none', { alg: 'none' }, 'federation_token_invalid'],
    ['with a list for `alg`', { alg: ['ES256'] }, 'federation_token_invalid'],
    ['with an `alg` of another key', { alg: 'RS256' }, 'federation_token_invalid'],
    ['with `alg` in lower case', { alg: 'es256' }, 'federation_token_invalid'],
    ['with an `alg` of a longer hash', { alg: 'ES384' }, 'federation_token_invalid'],
  ] as const)('%s: %s', (_name, header, code) => {
    expect(outcome(ec, ec.token(claims, header))).toBe(code);
  });
  test('of the parts of another one is refused', () => {
    const [header, payload, signature] = ec.token(claims).split('.');
    for (const text of [
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `.${payload}.${signature}`,
      `${header}.${payload}`,
      `${header}.${payload}.${signature}.`,
      `${header}.${payload}.${signature}.x`,
      `${header}.${payload}.${signature}=`,
      ` ${header}.${payload}.${signature}`,
      `${header}.${payload}.${signature}\n`,
      '',
      '..',
    ]) {
      expect(outcome(ec, text)).toBe('federation_token_invalid');
    }
  });
  test('larger than the cap is refused before it is read', () => {
    const token = ec.token({ ...claims, filler: 'x'.repeat(4096) });
    expect(outcome(ec, token)).toBe('federation_token_invalid');
  });
  test('nested deeper than the cap is refused', () => {
    const deep = `{"a":${'['.repeat(70)}${']'.repeat(70)}}`;
    expect(codeOf(() => parseOutsideToken(ec.raw('{"alg":"ES256"}', deep)))).toBe('federation_token_invalid');
  });
  test.each([
    ['a claim twice', '"repository":"octo-org/octo-repo","repository":"mallory/evil"'],
    ['a claim twice, once escaped', String.raw`"aud":"x","\u0061ud":"y"`],
    ['a claim twice inside another', '"act":{"sub":"a","sub":"b"}'],
    ['an integer that JSON numbers cannot hold', '"repository_id":9007199254740993'],
    ['an infinite number', '"iat":1e999'],
  ])('with %s is refused', (_name, members) => {
    const payload = `{${members},${JSON.stringify(claims).slice(1)}`;
    expect(outcome(ec, ec.raw('{"alg":"ES256"}', payload))).toBe('federation_token_invalid');
  });
  test('with a header member twice is refused', () => {
    const header = '{"alg":"ES256","alg":"ES256"}';
    expect(outcome(ec, ec.raw(header, JSON.stringify(claims)))).toBe('federation_token_invalid');
  });
  test.each(['[]', 'null', '"x"', '{', '\u00ff'])('with the payload %s is refused', (payload) => {
    expect(outcome(ec, ec.raw('{"alg":"ES256"}', payload))).toBe('federation_token_invalid');
  });
});

describe('a key of another kind than the header says', () => {
  test('RSA key as an HMAC secret', () => {
    const pem = createPublicKey({ key: rsa.jwk as never, format: 'jwk' }).export({
      type: 'spki',
      format: 'pem',
    });
    const input = [{ alg: 'HS256', typ: 'JWT' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    for (const secret of [pem, JSON.stringify(rsa.jwk), (rsa.jwk as { n: string }).n]) {
      const mac = createHmac('sha256', secret).update(input).digest('base64url');
      expect(outcome(rsa, `${input}.${mac}`)).toBe('federation_token_invalid');
    }
  });
  test('a key that signed nothing here', () => {
    const other = new OutsideIssuer();
    expect(outcome(ec, ec.token(claims), other.jwk)).toBe('federation_token_invalid');
    expect(outcome(ec, other.token(claims), other.jwk)).toBe('federation_not_trusted');
  });
});

describe('a key of an outside issuer', () => {
  const { n } = rsa.jwk as { n: string };
  const modulus = (bytes: Buffer): object => ({ kty: 'RSA', e: 'AQAB', n: bytes.toString('base64url') });
  const odd = (length: number, first = 0x80): Buffer => {
    const bytes = Buffer.alloc(length, 0x55);
    bytes[0] = first;
    return bytes;
  };
  test.each<[string, unknown, string]>([
    ['RSA of 2,048 bits', rsa.jwk, 'accepted'],
    [
      'with what a JWKS says beside',
      { ...rsa.jwk, kid: 'k', alg: 'RS256', use: 'sig', x5c: ['x'], x5t: 'y' },
      'accepted',
    ],
    ['of a SPIFFE bundle', { ...ec.jwk, use: 'jwt-svid', kid: 'k' }, 'accepted'],
    ['for certificates', { ...ec.jwk, use: 'x509-svid' }, 'key_invalid'],
    ['for encryption', { ...rsa.jwk, use: 'enc' }, 'key_invalid'],
    ['RSA of 2,047 bits', modulus(odd(256, 0x7f)), 'key_invalid'],
    ['RSA of 1,024 bits', modulus(odd(128)), 'key_invalid'],
    ['RSA of 4,096 bits', modulus(odd(512)), 'accepted'],
    ['RSA of 4,104 bits', modulus(odd(513)), 'key_invalid'],
    ['RSA of 65,536 bits', modulus(odd(8192)), 'key_invalid'],
    [
      'RSA padded with a zero',
      modulus(Buffer.concat([Buffer.alloc(1), Buffer.from(n, 'base64url')])),
      'key_invalid',
    ],
    ['RSA with an even modulus', modulus(Buffer.alloc(256, 0xfe)), 'key_invalid'],
    ['RSA with the exponent 3', { ...rsa.jwk, e: 'Aw' }, 'key_invalid'],
    ['RSA with the exponent 1', { ...rsa.jwk, e: 'AQ' }, 'key_invalid'],
    ['RSA with a padded exponent', { ...rsa.jwk, e: 'AAEAAQ' }, 'key_invalid'],
    ['RSA with a modulus that is no text', { ...rsa.jwk, n: [n] }, 'key_invalid'],
    ['RSA with white space in it', { ...rsa.jwk, n: `${n.slice(0, -1)} ` }, 'encoding_invalid'],
    ['symmetric', { kty: 'oct', k: 'AAAA' }, 'key_invalid'],
    ['private', { ...ec.jwk, d: 'AAAA' }, 'key_invalid'],
    ['on a curve we do not take', { ...ec.jwk, crv: 'P-521' }, 'key_invalid'],
    ['off its curve', { ...ec.jwk, y: (ec.jwk as { x: string }).x }, 'key_invalid'],
    ['P-384 with coordinates of P-256', { ...ec.jwk, crv: 'P-384' }, 'key_invalid'],
    ['Ed25519, small-order', { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }, 'key_invalid'],
    ['null', null, 'key_invalid'],
  ])('%s', (_name, jwk, code) => {
    expect(codeOf(() => parseOutsideJwk(jwk))).toBe(code);
  });
  test('has the thumbprint of RFC 7638 section 3.1', () => {
    const example: OutsideJwk = {
      kty: 'RSA',
      n:
        '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs' +
        'tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajr' +
        'n1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
      e: 'AQAB',
    };
    expect(parseOutsideJwk(example).thumbprint).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });
});

const vectors = process.env['BULLA_VECTORS'] ?? '../shared/vectors';
const read = (name: string): JsonObject =>
  JSON.parse(readFileSync(`${vectors}/oauth-events/${name}`, 'utf8')) as JsonObject;

describe.skipIf(!existsSync(`${vectors}/oauth-events`))('what others published', () => {
  test('the keys of a SPIFFE bundle: the one for JWTs, and not the one for certificates', () => {
    const { keys } = read('spiffe/go-spiffe-spiffebundle_valid_1.json') as { keys: readonly JsonObject[] };
    expect(keys.map((key) => [key['use'], codeOf(() => parseOutsideJwk(key))])).toEqual([
      ['x509-svid', 'key_invalid'],
      ['jwt-svid', 'accepted'],
    ]);
  });
  test("GitHub's documented token, bound and signed", () => {
    const { header, claims: documented } = read('oidc-claims/github-actions.json') as {
      header: JsonObject;
      claims: JsonObject;
    };
    const at = Number(documented['iat']) + 5;
    const record = recordOf(rsa, {
      claims: {
        repository: 'octo-org/octo-repo',
        repository_id: '74',
        environment: 'prod',
        ref: 'refs/heads/main',
      },
    });
    const check = (change: JsonObject, trusted = record): string => {
      const token = rsa.token({ ...documented, ...change }, { ...header });
      return codeOf(() => checkOutsideToken(trusted, { token, jwk: rsa.jwk, account, jkt, now: at }));
    };
    const aud = bindingOf(account, jkt);
    expect(check({ aud })).toBe('accepted');
    expect(check({})).toBe('federation_not_bound');
    expect(check({ aud, environment: 'test' })).toBe('federation_claims_mismatch');
    expect(check({ aud, event_name: 'pull_request_target' })).toBe('federation_claims_mismatch');
    const elsewhere = { ...record.claims, job_workflow_ref: { like: 'octo-org/octo-repo/*' } };
    expect(check({ aud }, { ...record, claims: elsewhere })).toBe('federation_claims_mismatch');
  });
});
