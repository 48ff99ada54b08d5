import { createSigner, generatePrivateJwk, type WireRequest } from '@bulla/verifier';
import { contentDigest, queryDigest } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { codeOf, now, origin } from '../../kit/deciding.ts';
import { check, order, provenWire, reproven, withField } from '../../kit/wire.ts';

const alice = createSigner(generatePrivateJwk());
const mallory = createSigner(generatePrivateJwk());

test('the untouched request passes', async () => {
  expect(await codeOf(() => check(provenWire(alice), alice))).toBe('accepted');
});

const target = (value: string) => (wire: WireRequest) => ({ ...wire, target: value });
const method = (value: string) => (wire: WireRequest) => ({ ...wire, method: value });
const body = (value: string) => (wire: WireRequest) => ({ ...wire, body: Buffer.from(value) });
const field = (name: string, value: string | undefined) => (wire: WireRequest) =>
  withField(wire, name, value);
const also = (name: string, value: string) => (wire: WireRequest) => ({
  ...wire,
  headers: [...wire.headers, [name, value] as const],
});

describe('a captured proof put on another request', () => {
  test.each<[string, (wire: WireRequest) => WireRequest, string]>([
    ['another method', method('PUT'), 'proof_method_mismatch'],
    ['the method in lower case', method('post'), 'request_method_refused'],
    ['CONNECT', method('CONNECT'), 'request_method_refused'],
    ['an overridden method', also('X-HTTP-Method-Override', 'DELETE'), 'request_method_refused'],
    ['an overridden method, other spelling', also('X-Method-Override', 'DELETE'), 'request_method_refused'],
    ['another path', target('/orders/o2?expand=lines&page=2'), 'proof_target_mismatch'],
    ['the path in another case', target('/Orders/o1?expand=lines&page=2'), 'proof_target_mismatch'],
    ['a trailing slash', target('/orders/o1/?expand=lines&page=2'), 'proof_target_mismatch'],
    ['a doubled slash', target('/orders//o1?expand=lines&page=2'), 'proof_target_mismatch'],
    ['the path continued', target('/orders/o1/cancel?expand=lines&page=2'), 'proof_target_mismatch'],
    ['a query less', target('/orders/o1'), 'proof_query_mismatch'],
    ['an empty query', target('/orders/o1?'), 'proof_query_mismatch'],
    ['a query reordered', target('/orders/o1?page=2&expand=lines'), 'proof_query_mismatch'],
    ['a query longer', target('/orders/o1?expand=lines&page=2&admin=1'), 'proof_query_mismatch'],
    ['a query recoded', target('/orders/o1?expand=%6cines&page=2'), 'proof_query_mismatch'],
    ['the query moved into the path', target('/orders/o1%3Fexpand=lines&page=2'), 'proof_target_mismatch'],
    ['another body', body('{"amount":999}'), 'proof_content_mismatch'],
    ['the body with a space more', body('{"amount": 100}'), 'proof_content_mismatch'],
    ['no body', body(''), 'proof_content_mismatch'],
    ['another content type', field('content-type', 'text/plain'), 'proof_header_mismatch'],
    [
      'content type with a parameter',
      field('content-type', 'application/json;charset=utf-7'),
      'proof_header_mismatch',
    ],
    ['no content type', field('content-type', undefined), 'proof_header_mismatch'],
    ['two content types', also('Content-Type', 'text/plain'), 'request_field_repeated'],
    [
      'a false Content-Digest',
      also('Content-Digest', contentDigest(Buffer.from('x'))),
      'proof_content_mismatch',
    ],
    ['encoded content', also('Content-Encoding', 'gzip'), 'request_encoding_refused'],
    ['encoded content in two layers', also('Content-Encoding', 'identity, gzip'), 'request_encoding_refused'],
    ['announced trailers', also('Trailer', 'X-Amount'), 'request_field_refused'],
    ['an upgrade', also('Upgrade', 'h2c'), 'request_field_refused'],
    ['another envelope', field('authorization', 'DPoP root~other'), 'proof_envelope_mismatch'],
    ['the envelope cut short', field('authorization', 'DPoP root'), 'proof_envelope_mismatch'],
  ])('%s is refused', async (_, change, code) => {
    expect(await codeOf(() => check(change(provenWire(alice)), alice))).toBe(code);
  });

  test('a second capability is refused, wherever it hides', async () => {
    const wire = provenWire(alice);
    const cases: [WireRequest, string][] = [
      [also('authorization', 'DPoP root~block')(wire), 'request_field_repeated'],
      [also('AUTHORIZATION', 'Bearer x')(wire), 'request_field_repeated'],
      [field('authorization', 'DPoP root~block, DPoP root~other')(wire), 'authorization_malformed'],
      [field('authorization', 'DPoP root~block root~other')(wire), 'authorization_malformed'],
      [also('Proxy-Authorization', 'DPoP root~other')(wire), 'request_field_refused'],
      [target('/orders/o1?access_token=x')(wire), 'request_target_invalid'],
      [target('/orders/o1?a=1&Access_Token')(wire), 'request_target_invalid'],
      [also('DPoP', 'x.y.z')(wire), 'request_field_repeated'],
      [field('dpop', 'x.y.z, x.y.z')(wire), 'request_field_repeated'],
    ];
    for (const [changed, code] of cases) expect(await codeOf(() => check(changed, alice))).toBe(code);
  });

  test.each([
    ['missing', undefined, 'envelope_missing'],
    ['of the Bearer scheme', 'Bearer root~block', 'authorization_malformed'],
    ['of no scheme', 'root~block', 'authorization_malformed'],
    ['too large', `DPoP ${'a'.repeat(7169)}`, 'envelope_too_large'],
    ['with white space inside', 'DPoP root~\tblock', 'authorization_malformed'],
  ])('an envelope that is %s is refused', async (_, value, code) => {
    expect(await codeOf(() => check(withField(provenWire(alice), 'authorization', value), alice))).toBe(code);
  });

  test('a request without a proof is refused', async () => {
    expect(await codeOf(() => check(withField(provenWire(alice), 'dpop', undefined), alice))).toBe(
      'proof_missing',
    );
  });

  test('the scheme is compared without case', async () => {
    const wire = withField(provenWire(alice), 'authorization', 'dpop root~block');
    expect(await codeOf(() => check(wire, alice))).toBe('accepted');
  });
});

describe('targets with a second reading are refused, not normalised', () => {
  test.each([
    'http://api.example/orders/o1',
    'https://evil.example/orders/../orders/o1',
    'api.example:443',
    '*',
    '',
    'orders',
    '//evil.example/orders',
    '/orders/../admin',
    '/orders/./o1',
    '/orders/..',
    '/orders/..;/admin',
    '/orders/..;a=1/admin',
    '/orders/.;/o1',
    '/orders/..;',
    '/orders/..%3b/admin',
    '/orders/..%3Ba/admin',
    '/orders/%2e%2e/admin',
    '/orders/%2E/o1',
    '/orders\\o1',
    '/orders/%5co1',
    '/orders/a%2fb',
    '/orders/a%2Fb',
    '/orders/o1%00',
    '/orders/o1#x',
    '/orders/o1?x=1#y',
    '/orders/o 1',
    '/orders/o1\u00e9',
    '/orders/o1?\u00e9',
    '/orders/o1?a b',
    '/orders/%6f1',
    '/orders/%7E1',
    '/orders/%',
    '/orders/%4',
    '/orders/%zz',
    '/orders/[o1]',
    '/orders/o1\r\nX-A: b',
  ])('%j', async (value) => {
    const wire = { ...provenWire(alice), target: value };
    expect(await codeOf(() => check(wire, alice))).toBe('request_target_invalid');
  });

  test('percent-hex may be written in either case, on either side', async () => {
    const draft = { ...order, target: '/orders/%C3%BC' };
    const lower = { ...provenWire(alice, draft), target: '/orders/%c3%bc' };
    expect(await codeOf(() => check(lower, alice))).toBe('accepted');
    const claims = { htu: `${origin}/orders/%c3%bc` };
    const upper = reproven(provenWire(alice, draft), alice, { claims });
    expect(await codeOf(() => check(upper, alice))).toBe('accepted');
  });
});

describe('`htu` that is not the canonical URL of the request is refused', () => {
  test.each([
    'https://evil.example/orders/o1',
    'http://api.example/orders/o1',
    'https://api.example:443/orders/o1',
    'HTTPS://api.example/orders/o1',
    'https://API.example/orders/o1',
    'https://api.example./orders/o1',
    'https://user@api.example/orders/o1',
    'https://api.example/orders/o1/',
    'https://api.example/orders/x/../o1',
    'https://api.example/orders/%6f1',
    'https://api.example/orders/%2e/o1',
    'https://api.example/orders/o1?expand=lines&page=2',
    'https://api.example/orders/o1#',
    'https://api.example',
    '/orders/o1',
    '',
  ])('%j', async (htu) => {
    const wire = reproven(provenWire(alice), alice, { claims: { htu } });
    expect(await codeOf(() => check(wire, alice))).toBe('proof_target_mismatch');
  });

  test('Host of another site, or of none of ours, is refused', async () => {
    for (const host of ['evil.example', 'api.example:8443', 'api.example.', '']) {
      const wire = withField(provenWire(alice), 'host', host);
      expect(await codeOf(() => check(wire, alice))).toBe('request_host_wrong');
    }
    const twice = also('host', 'api.example')(provenWire(alice));
    expect(await codeOf(() => check(twice, alice))).toBe('request_field_repeated');
  });

  test('X-Forwarded-Host and Forwarded change nothing', async () => {
    const draft = { ...order, headers: { ...order.headers, 'x-forwarded-host': 'evil.example' } };
    const htu = { claims: { htu: 'https://evil.example/orders/o1' } };
    expect(await codeOf(() => check(reproven(provenWire(alice, draft), alice, htu), alice))).toBe(
      'proof_target_mismatch',
    );
  });
});

describe('claims by the holder that do not bind the request', () => {
  test.each([
    ['no htq', 'htq', 'proof_query_mismatch'],
    ['no content_digest', 'content_digest', 'proof_content_mismatch'],
    ['no htb', 'htb', 'proof_header_unbound'],
    ['no ath', 'ath', 'proof_envelope_mismatch'],
    ['no jti', 'jti', 'proof_malformed'],
    ['no iat', 'iat', 'proof_malformed'],
    ['no htm', 'htm', 'proof_malformed'],
    ['no htu', 'htu', 'proof_malformed'],
  ])('%s', async (_, without, code) => {
    expect(await codeOf(() => check(reproven(provenWire(alice), alice, { without: [without] }), alice))).toBe(
      code,
    );
  });

  test.each([
    ['an unknown claim', { role: 'admin' }],
    ['a jti that is too long', { jti: 'a'.repeat(129) }],
    ['a jti whose bytes are too many', { jti: 'ü'.repeat(65) }],
    ['an empty jti', { jti: '' }],
    ['a jti that is no string', { jti: 1 }],
    ['an iat that is a string', { iat: String(now) }],
    ['an htb that is a list', { htb: [] }],
    [
      'an htb with too many fields',
      { htb: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`x-${String(i)}`, ''])) },
    ],
    ['a null', { htq: null }],
  ])('%s is refused', async (_, claims) => {
    const wire = reproven(provenWire(alice), alice, { claims });
    expect(await codeOf(() => check(wire, alice))).toBe('proof_malformed');
  });

  test('a digest of another algorithm or spelling is refused', async () => {
    const digest = contentDigest(Buffer.from(order.body));
    for (const wrong of [digest.replace('sha-256', 'SHA-256'), `${digest}, ${digest}`, digest.slice(0, -1)]) {
      const wire = reproven(provenWire(alice), alice, { claims: { content_digest: wrong } });
      expect(await codeOf(() => check(wire, alice))).toBe('proof_content_mismatch');
    }
  });

  test('a field the route lists must be bound, exact, and single', async () => {
    const route = { bindHeaders: ['Idempotency-Key'] };
    const draft = { ...order, headers: { ...order.headers, 'idempotency-key': 'k1' } };
    const code = (wire: WireRequest) => codeOf(() => check(wire, alice, { route }));
    expect(await code(provenWire(alice, draft))).toBe('accepted');
    expect(await code(provenWire(alice))).toBe('accepted');
    expect(await code(also('Idempotency-Key', 'k1')(provenWire(alice)))).toBe('proof_header_unbound');
    expect(await code(field('idempotency-key', 'k2')(provenWire(alice, draft)))).toBe(
      'proof_header_mismatch',
    );
    expect(await code(field('idempotency-key', undefined)(provenWire(alice, draft)))).toBe(
      'proof_header_mismatch',
    );
    expect(await code(also('Idempotency-Key', 'k2')(provenWire(alice, draft)))).toBe(
      'request_field_repeated',
    );
  });

  test('`__proto__` in htb binds nothing', async () => {
    const wire = reproven(provenWire(alice), alice, {
      claims: { htb: JSON.parse('{"__proto__":"application/json"}') as { readonly [name: string]: string } },
    });
    expect(await codeOf(() => check(wire, alice))).toBe('proof_header_mismatch');
  });
});

describe('time', () => {
  test.each([
    [-60, 'accepted'],
    [-61, 'proof_time'],
    [5, 'accepted'],
    [6, 'proof_time'],
    [Number.MAX_SAFE_INTEGER - now, 'proof_time'],
    [-now - 1, 'proof_time'],
  ])('a proof %i s from now: %s', async (offset, code) => {
    const wire = reproven(provenWire(alice), alice, { claims: { iat: now + offset } });
    expect(await codeOf(() => check(wire, alice))).toBe(code);
  });
});

describe('keys', () => {
  test('a proof by another key is refused', async () => {
    expect(await codeOf(() => check(provenWire(mallory), alice))).toBe('proof_key_mismatch');
  });
  test("a proof that shows the holder's key and is signed by another is refused", async () => {
    const wire = reproven(provenWire(alice), mallory, {});
    expect(await codeOf(() => check(wire, alice))).toBe('proof_signature_invalid');
  });
});

describe('plain RFC 9449 proofs', () => {
  const bareOf = (draft: typeof order) =>
    reproven(provenWire(alice, draft), alice, { without: ['htq', 'content_digest', 'htb'] });
  const simple = { method: 'GET', target: '/orders/o1', body: '', headers: {} };
  const route = { dangerouslyPlainDpop: true };

  test('pass where there is neither query nor content', async () => {
    expect(await codeOf(() => check(bareOf(simple), alice))).toBe('accepted');
  });
  test('are refused with a query or content, unless the route opted down', async () => {
    expect(await codeOf(() => check(bareOf(order), alice))).toBe('proof_query_mismatch');
    expect(await codeOf(() => check(bareOf({ ...order, target: '/orders/o1' }), alice))).toBe(
      'proof_header_unbound',
    );
    expect(await codeOf(() => check(bareOf(order), alice, { route }))).toBe('accepted');
  });
  test('what they do bind is still compared on such a route', async () => {
    const wire = { ...provenWire(alice), body: Buffer.from('{}') };
    expect(await codeOf(() => check(wire, alice, { route }))).toBe('proof_content_mismatch');
    const query = reproven(provenWire(alice), alice, { claims: { htq: queryDigest('x=1') } });
    expect(await codeOf(() => check(query, alice, { route }))).toBe('proof_query_mismatch');
  });
});
