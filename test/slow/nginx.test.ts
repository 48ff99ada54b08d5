import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findNginx, NginxStage } from './nginx-stage.ts';

const nginx = findNginx();

/** Header of what the API got, all of them with this name. */
function field(stage: NginxStage, name: string): string[] {
  const { headers = [] } = stage.seen().at(-1) ?? {};
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

describe('an API in Python behind nginx and guard', () => {
  let stage: NginxStage;
  beforeAll(async () => {
    if (nginx === undefined) throw new Error('needs nginx, which `.ci/run` installs: nginx-light of Debian');
    stage = await NginxStage.start(nginx);
  });
  afterAll(async () => {
    await stage.close();
  });

  test('an agent that knows nothing of nginx is served, nonce and all', async () => {
    const response = await stage.agentFetch(`${stage.origin}/documents/7`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ line: 'GET /documents/7 HTTP/1.0', body: '' });
    expect(field(stage, 'bulla-subject')).toEqual([stage.subject]);
    expect(field(stage, 'bulla-actors')).toEqual([`${stage.subject}, ${stage.agent}`]);
    expect(field(stage, 'bulla-grant')).toHaveLength(1);
    expect([...field(stage, 'authorization'), ...field(stage, 'dpop')]).toEqual([]);
    expect(stage.receipts().at(-1)).toMatchObject({ outcome: 'allow', action: 'document.read' });
  });

  test('the policy’s no comes through with its reason', async () => {
    const before = stage.seen().length;
    const answer = await stage.send('/documents/7', { method: 'DELETE' });
    expect([answer.status, answer.code]).toEqual([403, 'policy_denied']);
    expect(answer.head).toContain('content-type: application/problem+json');
    expect(answer.head).toContain('bulla-code: policy_denied');
    expect(JSON.parse(answer.body)).toMatchObject({ reasons: [{ policy: 'agents-only-read' }] });
    expect(stage.seen()).toHaveLength(before);
  });

  test('without proof, without envelope: 401 with one challenge', async () => {
    const bare = await stage.send('/documents/7', { omit: 'dpop' });
    expect([bare.status, bare.code]).toEqual([401, 'proof_missing']);
    expect(bare.head.match(/^www-authenticate: .*$/gmu)).toEqual([
      expect.stringContaining('DPoP error="invalid_dpop_proof"'),
    ]);
    const none = await stage.send('/documents/7', { omit: 'authorization' });
    expect([none.status, none.code]).toEqual([401, 'envelope_missing']);
  });

  test('a proof works once', async () => {
    await stage.send('/documents/7');
    const lines = [
      'GET /documents/7 HTTP/1.1',
      `Host: ${new URL(stage.origin).host}`,
      ...(await stage.proof('/documents/7')),
    ];
    expect((await stage.raw(lines)).status).toBe(200);
    expect(await stage.raw(lines)).toMatchObject({ status: 401, code: 'proof_replayed' });
  });

  test.each([
    ['POST', ['Content-Length: 2'], '{}', 'content_unseen'],
    ['POST', [], '', 'content_unseen'],
    ['GET', ['Content-Length: 2'], '{}', 'content_unseen'],
    ['DELETE', ['Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n', 'content_unseen'],
    ['HEAD', [], '', ''],
  ])('%s with %j is refused', async (method, headers, body, code) => {
    const before = stage.seen().length;
    const answer = await stage.send('/documents/7', { method, headers, body });
    expect([answer.status, answer.code]).toEqual([403, code]);
    expect(stage.seen()).toHaveLength(before);
  });

  test.each([
    ['//documents/7', 'request_target_invalid'],
    ['/documents//7', 'route_unknown'],
    ['/documents/7/', 'route_unknown'],
    ['/x/../documents/7', 'request_target_invalid'],
    ['/documents/%2e%2e/7', 'request_target_invalid'],
    ['/healthz/%2e%2e/documents/7', 'request_target_invalid'],
    ['/healthz%2f..%2fdocuments/7', 'request_target_invalid'],
    ['/documents%2f7', 'request_target_invalid'],
    ['/documents/..;/7', 'request_target_invalid'],
    ['/documents/8', 'proof_target_mismatch'],
    ['/documents/7?all=1', 'proof_query_mismatch'],
  ])('the target %s is refused with %s', async (target, code) => {
    const before = stage.seen().length;
    const answer = await stage.send('/documents/7', { target });
    expect([401, 403]).toContain(answer.status);
    expect(answer.code).toBe(code);
    expect(stage.seen()).toHaveLength(before);
  });

  test('what the API gets is the target that was verified, byte for byte', async () => {
    await stage.send('/documents/a%20b,c?x=%7e&&y');
    expect(stage.seen().at(-1)?.line).toBe('GET /documents/a%20b,c?x=%7e&&y HTTP/1.0');
  });

  test.each(['http://127.0.0.1/documents/7', '*', '/documents/7\\..\\8'])(
    'the request line with %s reaches nobody',
    async (target) => {
      const before = stage.seen().length;
      const answer = await stage.send('/documents/7', { target });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(stage.seen()).toHaveLength(before);
    },
  );

  test.each([
    ['X-Original-URI: /healthz'],
    ['X-Original-Method: GET'],
    ['X-Original-Content-Length: none'],
    ['x-original-uri: /healthz', 'X-Original-URI: /documents/7'],
  ])('a client that sends %s itself is not believed', async (...headers) => {
    const answer = await stage.send('/documents/8', { method: 'DELETE', headers });
    expect([answer.status, answer.code]).toEqual([403, 'policy_denied']);
  });

  test('a client cannot reach the location of the subrequest', async () => {
    expect((await stage.send('/.bulla/auth')).status).toBe(404);
    expect((await stage.send('/nginx/auth')).code).toBe('route_unknown');
  });

  test('identity fields of a client never reach the API', async () => {
    const headers = [
      'Bulla-Subject: prn_ceo',
      'bulla-actors: prn_ceo',
      'BULLA-GRANT: x',
      'Bulla_Subject: prn_ceo',
    ];
    await stage.send('/documents/7', { headers });
    expect(field(stage, 'bulla-subject')).toEqual([stage.subject]);
    expect(field(stage, 'bulla_subject')).toEqual([]);
    await stage.send('/healthz', { headers, omit: 'authorization' });
    for (const name of ['bulla-subject', 'bulla-actors', 'bulla-grant'])
      expect(field(stage, name)).toEqual([]);
  });

  test.each([
    ['Authorization: DPoP other'],
    ['DPoP: other'],
    ['Content-Encoding: gzip'],
    ['X-HTTP-Method-Override: DELETE'],
    ['Trailer: x'],
  ])('a second reading by %s is refused', async (line) => {
    const before = stage.seen().length;
    const answer = await stage.send('/documents/7', { headers: [line] });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(stage.seen()).toHaveLength(before);
  });

  test('two hosts, or another one, reach nobody', async () => {
    const before = stage.seen().length;
    const { host } = new URL(stage.origin);
    const two = await stage.send('/documents/7', { headers: [`Host: ${host}`, 'Host: other.example'] });
    expect(two.status).toBe(400);
    const other = await stage.send('/documents/7', { headers: ['Host: other.example'] });
    expect([other.status, other.code]).toEqual([403, 'request_host_wrong']);
    expect(stage.seen()).toHaveLength(before);
  });

  test('an upgrade is not passed on', async () => {
    const headers = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    expect((await stage.send('/documents/7', { headers })).status).toBe(200);
    expect(field(stage, 'upgrade')).toEqual([]);
  });

  test('content that HTTP/2 does not announce never reaches the API', async () => {
    await stage.send('/documents/7');
    const [authorization = '', dpop = ''] = (await stage.proof('/documents/7')).map((line) =>
      line.slice(line.indexOf(': ') + 2),
    );
    const session = connect(`http://127.0.0.1:${stage.http2Port}`);
    const request = session.request(
      { ':path': '/documents/7', ':authority': new URL(stage.origin).host, authorization, dpop },
      { endStream: false },
    );
    request.end('{"smuggled":true}');
    request.resume();
    const [headers] = (await once(request, 'response')) as [Record<string, unknown>];
    await once(request, 'end');
    session.close();
    expect([headers[':status'], stage.seen().at(-1)?.body]).toEqual([200, '']);
    expect(field(stage, 'content-length')).toEqual([]);
  });
});

describe.skipIf(nginx === undefined)('nginx without what it needs fails closed', () => {
  let stage: NginxStage;
  beforeAll(async () => {
    stage = await NginxStage.start(nginx ?? '', 6);
  });
  afterAll(async () => {
    await stage.close();
  });

  test('a stopped agent and stale knowledge are refused, and a guard that is gone is 500', async () => {
    expect((await stage.send('/documents/7')).status).toBe(200);
    await stage.desk.json('stop', stage.agent, '--to', `${stage.origin}/.bulla/stop`, '--no-log');
    await stage.desk.issuer?.close();
    const codes = new Set<string>();
    while (!codes.has('trust_stale')) codes.add((await stage.send('/documents/7')).code);
    expect([...codes]).toEqual(['agent_not_active', 'trust_stale']);
    await stage.kill('guard');
    const before = stage.seen().length;
    expect((await stage.send('/documents/7')).status).toBe(500);
    expect((await stage.send('/healthz')).status).toBe(500);
    expect(stage.seen()).toHaveLength(before);
  });
});
