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

describe('AuthZEN', () => {
  test('decides the request that is handed over', async () => {
    const { json: answer, headers, status } = await guard.authzen(guard.proven(pay(100)));
    expect(answer).toEqual({
      decision: true,
      context: {
        subject: guard.api.alice.id,
        agent: guard.api.agent.id,
        actors: [guard.api.alice.id, guard.api.agent.id],
        grant: expect.any(String),
        expires_at: expect.any(Number),
      },
    });
    expect([status, headers['x-request-id'], headers['content-type']]).toEqual([
      200,
      'bfe9eb29',
      'application/json',
    ]);
  });

  test('says why not, with what to answer the client', async () => {
    const { json: answer } = await guard.authzen(guard.proven(pay(101)));
    expect(answer).toMatchObject({
      decision: false,
      context: {
        code: 'policy_denied',
        reason: 'a payment is worth at most 100',
        answer: { status: 403, problem: { layer: 'admin' } },
      },
    });
  });

  test('an unproven request is no, with the challenge to pass on', async () => {
    const wire = { method: 'GET', target: '/payments/7', headers: [], body: new Uint8Array(0) };
    const { json: answer } = await guard.authzen(wire);
    expect(answer).toMatchObject({
      decision: false,
      context: { code: 'envelope_missing', answer: { headers: { 'www-authenticate': expect.any(String) } } },
    });
  });

  test('without the request it is no', async () => {
    const { json: answer } = await guard.authzen(undefined);
    expect(answer).toMatchObject({ decision: false, context: { code: 'evaluation_request_missing' } });
  });

  test.each([
    ['subject', { subject: { type: 'User', id: 'prn_other' } }],
    ['subject', { subject: { type: 'Agent', id: 'prn_other' } }],
    ['action', { action: { name: 'payment.create' } }],
    ['resource', { resource: { type: 'Payment', id: '8' } }],
    ['resource', { resource: { type: 'Folder', id: '7' } }],
  ])('another %s than that of the request is no: %j', async (part, change) => {
    const { json: answer } = await guard.authzen(guard.proven(read), change);
    expect(answer).toMatchObject({ decision: false, context: { code: `evaluation_${part}_mismatch` } });
    expect(guard.api.receipts.filter(({ outcome }) => outcome === 'allow')).toEqual([]);
  });

  test('the person is asked about as a User, and as nothing else', async () => {
    const subject = { type: 'Agent', id: guard.api.alice.id };
    const { json: answer } = await guard.authzen(guard.proven(read), { subject });
    expect(answer).toMatchObject({ decision: false, context: { code: 'evaluation_subject_mismatch' } });
  });

  test('a public row has no action to agree with', async () => {
    const wire = { method: 'GET', target: '/healthz', headers: [], body: new Uint8Array(0) };
    const { json: answer } = await guard.authzen(wire);
    expect(answer).toMatchObject({ decision: false, context: { code: 'evaluation_action_mismatch' } });
  });

  test('unknown members are ignored', async () => {
    const { json: answer } = await guard.authzen(
      guard.proven(read),
      { options: { later: true }, subject: { type: 'User', id: guard.api.alice.id, properties: {} } },
      { scheme: 'https' },
    );
    expect(answer.decision).toBe(true);
  });

  test.each([
    ['no subject', { subject: undefined }, {}],
    ['an action without a name', { action: {} }, {}],
    ['a resource without an id', { resource: { type: 'Payment' } }, {}],
    ['a context that is a list', { context: [] }, {}],
    ['headers that are an object', {}, { headers: {} }],
    ['content that is not base64', {}, { body: '*' }],
    ['content in base64url', {}, { body: '_w==' }],
    ['content shorter than announced', {}, { headers: [['content-length', '5']], body: '' }],
    ['a length in another base', {}, { headers: [['content-length', '0x5']], body: 'MTIzNDU=' }],
    ['an empty length', {}, { headers: [['content-length', '']], body: '' }],
    [
      'content of two lengths, announced and chunked',
      {},
      {
        headers: [
          ['content-length', '5'],
          ['transfer-encoding', 'chunked'],
        ],
        body: 'MTIzNDU=',
      },
    ],
    [
      'chunked content that is left out',
      {},
      { headers: [['transfer-encoding', 'chunked']], body: undefined },
    ],
  ])('%s is a bad request', async (_, change, request) => {
    const answer = await guard.authzen(guard.proven(read), change, request);
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/^evaluation_invalid: /u) });
  });

  test('two members of one name are a bad request', async () => {
    const body = '{"subject":{"type":"User","id":"a","id":"b"}}';
    const answer = await guard.send(
      'POST /access/v1/evaluation',
      [
        ['content-type', 'application/json'],
        ['content-length', String(body.length)],
      ],
      body,
    );
    expect(answer.status).toBe(400);
  });

  test('a caller without the secret is 401', async () => {
    const closed = await GuardWorld.start({ callerSecretFile: 'secret' });
    try {
      const answer = await closed.authzen(closed.proven(read));
      expect(answer).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bulla-Caller-Secret' },
        body: expect.stringMatching(/^caller_not_trusted: /u),
      });
    } finally {
      await closed.close();
    }
  });

  test('a proof is spent by the question', async () => {
    const wire = guard.proven(read);
    expect((await guard.authzen(wire)).json.decision).toBe(true);
    expect((await guard.authzen(wire)).json.context?.['code']).toBe('proof_replayed');
  });

  test('the metadata names the endpoint', async () => {
    const answer = await guard.send('GET /.well-known/authzen-configuration', []);
    expect(JSON.parse(answer.body)).toEqual({
      policy_decision_point: 'https://guard.example',
      access_evaluation_endpoint: 'https://guard.example/access/v1/evaluation',
    });
  });
});
