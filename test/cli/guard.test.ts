import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuardWorld, json, order } from './guarded.ts';

let guard: GuardWorld;
beforeEach(async () => {
  guard = await GuardWorld.start();
});
afterEach(() => guard.close());

const read = { url: '/payments/7' };
const pay = (amount: number) => ({
  method: 'POST',
  url: '/payments/7?currency=EUR',
  body: order(amount),
  headers: json,
});

describe('nginx', () => {
  test('a proven request is allowed, and says for whom', async () => {
    const { status, headers } = await guard.nginx(guard.proven(read));
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'bulla-subject': guard.api.alice.id,
      'bulla-actors': `${guard.api.alice.id}, ${guard.api.agent.id}`,
      'bulla-grant': expect.stringMatching(/^[0-9a-f-]{36}$/u),
    });
    expect(guard.api.receipts).toMatchObject([{ outcome: 'allow', action: 'payment.read' }]);
  });

  test('an id that no field could hold is escaped, and kills no guard', async () => {
    const envelope = guard.api.envelope({ jti: 'a\r\nb\u2028' });
    const { status, headers } = await guard.nginx(guard.api.request({ url: '/payments/7', envelope }));
    expect([status, headers['bulla-grant']]).toEqual([204, String.raw`a\r\nb\u2028`]);
    expect((await guard.nginx(guard.proven(read))).outcome).toBe('allow');
  });

  test('a public row is allowed, for nobody', async () => {
    const { status, headers } = await guard.nginx({
      method: 'GET',
      target: '/healthz',
      headers: [['host', 'api.example']],
      body: Buffer.from(''),
    });
    expect(status).toBe(204);
    expect(headers).toMatchObject({ 'bulla-subject': '', 'bulla-actors': '', 'bulla-grant': '' });
  });

  test('the no of the policy is 403, with the problem in a field of ASCII', async () => {
    const { status, headers, body } = await guard.nginx(
      guard.proven({ method: 'DELETE', url: '/payments/7' }),
    );
    expect([status, body, headers['bulla-status']]).toEqual([403, '', '403']);
    expect(headers['bulla-problem']).toMatch(/^[\x20-\x7e]+$/u);
    expect(JSON.parse(headers['bulla-problem'] ?? '')).toMatchObject({
      code: 'policy_denied',
      detail: 'this folder is closed — völlig',
    });
  });

  test('a missing proof is 401 with a challenge', async () => {
    const wire = guard.proven(read);
    const { status, headers, outcome } = await guard.nginx({
      ...wire,
      headers: wire.headers.filter(([name]) => name !== 'dpop'),
    });
    expect([status, outcome]).toEqual([401, 'proof_missing']);
    expect(headers['www-authenticate']).toMatch(/^DPoP error="invalid_dpop_proof"/u);
  });

  test('a proof works once', async () => {
    const wire = guard.proven(read);
    expect((await guard.nginx(wire)).outcome).toBe('allow');
    expect(await guard.nginx(wire)).toMatchObject({ status: 401, outcome: 'proof_replayed' });
  });

  test('stale knowledge is 403 for nginx, and 503 in its field', async () => {
    guard.api.age = 61;
    const { status, headers, outcome } = await guard.nginx(guard.proven(read));
    expect([status, outcome, headers['bulla-status']]).toEqual([403, 'trust_stale', '503']);
  });

  test.each([
    ['POST', {}],
    ['PUT', {}],
    ['PATCH', {}],
    ['OPTIONS', {}],
    ['GET', { 'x-original-content-length': '5' }],
    ['GET', { 'x-original-content-length': '0, 5' }],
    ['DELETE', { 'x-original-content-length': '' }],
    ['DELETE', { 'x-original-transfer-encoding': 'chunked' }],
    ['GET', { 'x-original-transfer-encoding': '' }],
    ['GET', { 'content-length': '5' }],
    ['GET', { 'transfer-encoding': 'chunked' }],
  ])('content that nginx cannot show is refused: %s with %j', async (method, change) => {
    const wire = guard.proven({ ...read, method });
    expect(await guard.nginx(wire, change)).toMatchObject({ status: 403, outcome: 'content_unseen' });
    expect(guard.api.receipts).toEqual([]);
  });

  test.each([
    'x-original-method',
    'x-original-uri',
    'x-original-content-length',
    'x-original-transfer-encoding',
  ])('a configuration that does not pass %s on is refused', async (field) => {
    const answer = await guard.nginx(guard.proven(read), { [field]: undefined });
    expect(answer).toMatchObject({ status: 403, outcome: 'proxy_field_missing' });
  });

  test.each(['x-original-method', 'x-original-uri', 'X-Original-Content-Length'])(
    '%s of a client beside that of the proxy is refused',
    async (field) => {
      const answer = await guard.nginx(guard.proven(read), {}, [[field, 'none']]);
      expect(answer).toMatchObject({ status: 403, outcome: 'proxy_field_missing' });
    },
  );

  test.each([
    ['//payments/7', 'request_target_invalid'],
    ['/payments//7', 'route_unknown'],
    ['/payments/7/', 'route_unknown'],
    ['/payments/%2e%2e/7', 'request_target_invalid'],
    ['/payments/a%2f7', 'request_target_invalid'],
    ['/public/..%2fpayments', 'request_target_invalid'],
    ['/public/../payments/7', 'request_target_invalid'],
    ['/public/%2e%2e', 'request_target_invalid'],
    ['/public/x\\..\\y', 'request_target_invalid'],
    ['http://api.example/payments/7', 'request_target_invalid'],
    ['payments/7', 'request_target_invalid'],
    ['/payments/7#x', 'request_target_invalid'],
    ['/payments/7;a=b', 'request_target_invalid'],
    ['/public/..;', 'request_target_invalid'],
    ['/payments/8', 'proof_target_mismatch'],
    ['/payments/7?admin=1', 'proof_query_mismatch'],
    ['/nginx/auth', 'route_unknown'],
  ])('the target %s is refused with %s', async (target, code) => {
    const answer = await guard.nginx({ ...guard.proven(read), target });
    expect(answer.outcome).toBe(code);
    expect([401, 403]).toContain(answer.status);
  });

  test.each([
    ['HEAD', 'route_method_unmapped'],
    ['get', 'content_unseen'],
    ['DELETE', 'proof_method_mismatch'],
  ])('the method %s on a proof for GET is refused with %s', async (method, code) => {
    expect((await guard.nginx({ ...guard.proven(read), method })).outcome).toBe(code);
  });

  test.each([
    ['authorization', 'DPoP other', 'request_field_repeated'],
    ['DPoP', 'other', 'request_field_repeated'],
    ['Host', 'evil.example', 'request_field_repeated'],
    ['x-http-method-override', 'DELETE', 'request_method_refused'],
    ['upgrade', 'websocket', 'request_field_refused'],
    ['content-encoding', 'gzip', 'request_encoding_refused'],
  ])('a second reading by the field %s is refused', async (name, value, code) => {
    expect((await guard.nginx(guard.proven(read), {}, [[name, value]])).outcome).toBe(code);
  });

  test('a public row is refused where a field changes its method, or for another host', async () => {
    const wire = { method: 'GET', target: '/healthz', body: new Uint8Array(0) };
    const ask = (...headers: [string, string][]) => guard.nginx({ ...wire, headers });
    expect((await ask(['x-http-method-override', 'DELETE'])).outcome).toBe('request_method_refused');
    expect((await ask(['host', 'other.example'])).outcome).toBe('request_host_wrong');
  });

  test('a large denial still fits in a field', async () => {
    const long = 'x'.repeat(400);
    guard.api.publish({
      ...guard.api.trust.policySet(guard.api.ledger.read('slot/main')?.digest ?? '')!,
      policies: Object.fromEntries(
        Array.from({ length: 30 }, (_, index) => [
          `no-${index}`,
          {
            effect: 'forbid' as const,
            principal: { op: 'All' as const },
            action: { op: 'All' as const },
            resource: { op: 'All' as const },
            conditions: [],
            annotations: { reason: long },
          },
        ]),
      ),
    });
    const { headers, outcome } = await guard.nginx(guard.proven(read));
    expect(outcome).toBe('policy_denied');
    expect(headers['bulla-problem']?.length).toBeLessThan(2049);
  });
});

describe('a secret of the callers', () => {
  test.each([
    [undefined, 'caller_not_trusted'],
    ['a-secret-of-the-prox', 'caller_not_trusted'],
    ['a-secret-of-the-proxy', 'allow'],
  ])('%s gives %s in every form', async (secret, outcome) => {
    const closed = await GuardWorld.start({ callerSecretFile: 'secret' });
    try {
      const more = secret === undefined ? [] : [['Bulla-Caller-Secret', secret] as const];
      expect((await closed.nginx(closed.proven(read), {}, more)).outcome).toBe(outcome);
      expect((await closed.envoy(closed.proven(read), {}, more)).outcome).toBe(outcome);
    } finally {
      await closed.close();
    }
  });

  test('given twice is refused, whatever the other says', async () => {
    const closed = await GuardWorld.start({ callerSecretFile: 'secret' });
    try {
      const twice = ['a-secret-of-the-proxy', 'other'].map((s) => ['bulla-caller-secret', s] as const);
      expect((await closed.nginx(closed.proven(read), {}, twice)).outcome).toBe('caller_not_trusted');
    } finally {
      await closed.close();
    }
  });
});

describe('envoy', () => {
  test('a proven request with its whole content is allowed, and says for whom', async () => {
    const { status, headers } = await guard.envoy(guard.proven(pay(100)));
    expect(status).toBe(200);
    expect(headers).toMatchObject({ 'bulla-subject': guard.api.alice.id });
    expect(headers['x-envoy-auth-headers-to-remove']).toBeUndefined();
  });

  test('values come from content and query: 101 is too much', async () => {
    const { status, body } = await guard.envoy(guard.proven(pay(101)));
    expect(status).toBe(403);
    expect(JSON.parse(body)).toMatchObject({ code: 'policy_denied', reasons: [{ policy: 'at-most-100' }] });
  });

  test('a public row takes away the identity that a client sent', async () => {
    const { status, headers } = await guard.envoy({
      method: 'GET',
      target: '/healthz',
      headers: [['host', 'api.example']],
      body: new Uint8Array(0),
    });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'bulla-subject': '',
      'x-envoy-auth-headers-to-remove': 'bulla-subject,bulla-actors,bulla-grant',
    });
  });

  test.each([
    ['marked as a part', { partial: 'true' }],
    ['without the mark', { partial: undefined }],
    ['with two marks', { partial: 'false, true' }],
    ['that is not shown', { partial: undefined, body: '' }],
    ['that is not shown but marked as whole', { partial: 'false', body: '' }],
  ])('content %s is refused', async (_, change) => {
    const answer = await guard.envoy(guard.proven(pay(100)), change);
    expect(answer).toMatchObject({ status: 403, outcome: 'content_unseen' });
    expect(guard.api.receipts).toEqual([]);
  });

  test('content with a mark of the proxy and another of the client is refused, in either order', async () => {
    const other = (value: string) => [['x-envoy-auth-partial-body', value] as const];
    expect((await guard.envoy(guard.proven(pay(1)), {}, other('true'))).outcome).toBe('content_unseen');
    const first = await guard.envoy(guard.proven(pay(1)), { partial: 'true' }, other('false'));
    expect(first.outcome).toBe('content_unseen');
  });

  test('a mark of the client’s own, where there is no content, is refused', async () => {
    expect((await guard.envoy(guard.proven(read), { partial: 'false' })).outcome).toBe('content_unseen');
  });

  test('a POST whose proof binds no content is refused: there may be some', async () => {
    const wire = guard.proven({ method: 'POST', url: '/payments/7?currency=EUR' });
    expect((await guard.envoy(wire)).outcome).toBe('content_unseen');
  });

  test('chunked content is refused', async () => {
    const wire = guard.proven(pay(1));
    const chunk = `${wire.body.length.toString(16)}\r\n${Buffer.from(wire.body).toString()}\r\n0\r\n\r\n`;
    const fields: [string, string][] = [
      ['transfer-encoding', 'chunked'],
      ['x-envoy-auth-partial-body', 'false'],
    ];
    const headers = [...wire.headers, ...fields];
    expect((await guard.send(`POST /envoy${wire.target}`, headers, chunk)).outcome).toBe('content_unseen');
  });

  test('content of a GET is refused, as in every adapter', async () => {
    const wire = guard.proven(read);
    expect((await guard.envoy({ ...wire, body: Buffer.from('{}') })).outcome).toBe('content_refused');
  });

  test('more content than Envoy is said to buffer is refused', async () => {
    const body = JSON.stringify({ team: 'x'.repeat(5000), lines: [{ amount: 1 }] });
    expect((await guard.envoy(guard.proven({ ...pay(1), body }))).status).toBe(413);
  });

  test('other content than was proven is refused', async () => {
    const wire = guard.proven(pay(1));
    const body = order(2);
    expect((await guard.envoy(wire, { body })).outcome).toBe('proof_content_mismatch');
  });

  test.each([
    ['//payments/7', 'request_target_invalid'],
    ['/..%2fnginx', 'request_target_invalid'],
    ['/payments/8', 'proof_target_mismatch'],
  ])('the path %s after the prefix is refused with %s', async (target, code) => {
    expect((await guard.envoy({ ...guard.proven(read), target })).outcome).toBe(code);
  });

  test.each(['/envoy', '/envoyx/payments/7', '/payments/7'])('%s is no path of the form', async (path) => {
    const { headers } = guard.proven(read);
    expect(await guard.send(`GET ${path}`, headers)).toMatchObject({
      status: 404,
      outcome: 'guard_path_unknown',
    });
  });

  test('an upgrade is refused', async () => {
    const fields: [string, string][] = [
      ['upgrade', 'websocket'],
      ['connection', 'upgrade'],
    ];
    expect((await guard.envoy(guard.proven(read), {}, fields)).outcome).toBe('request_field_refused');
  });
});

describe('guard itself', () => {
  test('is ready while what it knows is fresh', async () => {
    expect((await guard.send('GET /.bulla/ready', [])).status).toBe(200);
    guard.api.age = 61;
    expect(await guard.send('GET /.bulla/ready', [])).toMatchObject({ status: 503, body: '{"ready":false}' });
  });

  test('takes a stop', async () => {
    const body = '{"leaf":"a~b"}';
    const fields: [string, string][] = [['content-length', String(body.length)]];
    expect((await guard.send('POST /.bulla/stop', fields, body)).status).toBe(204);
    expect(guard.stopped).toEqual(['a~b']);
  });

  test('serves no form that is not switched on', async () => {
    const bare = await GuardWorld.start({ nginx: undefined, envoy: undefined });
    try {
      expect((await bare.nginx(bare.proven(read))).outcome).toBe('guard_path_unknown');
      expect((await bare.envoy(bare.proven(read))).outcome).toBe('guard_path_unknown');
    } finally {
      await bare.close();
    }
  });
});
