import { spawn } from 'node:child_process';
import { randomBytes, type webcrypto } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { approvalRequest, readApprovalRequest, signApproval } from '@bulla/verifier/envelope';
import { Hono } from 'hono';
import { SignJWT } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld } from '../kit/api.ts';
import { startIdp } from '../kit/idp.ts';
import { IssuerWorld } from '../kit/issuer.ts';
import { observe, takeLeaks } from '../kit/leaks.ts';

// No body, header or log line of the test run holds an envelope, a proof or a private key made in it: `leak-gate.ts`
// looks in every test file. Here leaks are planted, to show that it finds them.

const clientSecret = 'of 100% the old kind+';

let world: ApiWorld;
let envelope: string;
let proof: string;
beforeEach(() => {
  world = new ApiWorld();
  envelope = world.envelope();
  proof = world.request({ envelope }).headers.find(([field]) => field === 'dpop')?.[1] ?? '';
});

describe('a planted leak is found', () => {
  test.each<[string, () => string, string]>([
    ['an envelope', () => envelope, 'an envelope'],
    ['its signature alone', () => envelope.slice(-86), 'an envelope'],
    ['its claims alone', () => envelope.split('.')[1] ?? '', 'an envelope'],
    ['a proof', () => proof, 'a proof'],
    ['a private key', () => generatePrivateJwk().d, 'a private key'],
    ['a private key for P-256', () => generatePrivateJwk('P-256').d, 'a private key'],
  ])('%s in a log line', (_, secret, kind) => {
    observe('a log line', JSON.stringify({ level: 'info', detail: `refused ${secret()}` }));
    expect([...new Set(takeLeaks())]).toEqual([`a log line holds ${kind}`]);
  });

  test('in a body and in a header field, over HTTP', async () => {
    const server = createServer((_request, response) => {
      response.setHeader('x-debug', envelope);
      response.end(JSON.stringify({ proof }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await new Promise((resolve) => server.close(resolve));
    expect(takeLeaks()).toEqual([
      'an HTTP response holds an envelope',
      'an HTTP response holds an envelope',
      'an HTTP response holds a proof',
      'an HTTP response holds a proof',
    ]);
  });

  test('in the answer of an app without a server', async () => {
    const app = new Hono().get('/', (c) => c.json({ detail: `no such token: ${envelope}` }));
    await app.request('/');
    expect(takeLeaks()).toContain('a response holds an envelope');
  });

  test('an approval in a log line', () => {
    const body = new Uint8Array();
    const request = { method: 'GET', url: 'https://api.example/notes/1', body, envelope };
    const signer = createSigner(generatePrivateJwk());
    const shown = readApprovalRequest(approvalRequest(request));
    const approval = signApproval(shown, { signer, now: world.now });
    observe('a log line', `spent ${approval}`);
    expect(takeLeaks()).toContain('a log line holds an approval');
  });

  test('an outside token in a problem body', async () => {
    const idp = await startIdp();
    const token = await idp.accessToken('reports-agent');
    await idp.close();
    expect(takeLeaks()).toEqual([]);
    const problem = { type: 'about:blank', detail: `not trusted: ${token}` };
    const app = new Hono().get('/', (c) => c.json(problem, 400));
    await app.request('/');
    expect(takeLeaks()).toContain('a response holds an outside token');
  });

  test.each([
    ['in the form', { form: { client_secret: [clientSecret] } }],
    [
      'in the header field',
      { headers: { authorization: `Basic ${btoa(`agent:${encodeURIComponent(clientSecret)}`)}` } },
    ],
  ])('a client secret that was sent %s', async (_, change) => {
    const issuer = await IssuerWorld.create();
    await issuer.token(change);
    await issuer.remove();
    expect(takeLeaks()).toEqual([]);
    observe('a log line', JSON.stringify({ detail: `no agent with ${clientSecret}` }));
    expect(takeLeaks()).toEqual(['a log line holds a client secret']);
  });

  test('whatever a child process was given, and whatever is known here, in what it prints', async () => {
    const token = randomBytes(16).toString('hex');
    const program = 'console.log(process.env.BULLA_HELPER_TOKEN); console.error(process.argv[1])';
    const child = spawn(process.execPath, ['-e', program, proof], { env: { BULLA_HELPER_TOKEN: token } });
    const printed = { stdout: await text(child.stdout), stderr: await text(child.stderr) };
    expect(printed).toEqual({ stdout: `${token}\n`, stderr: `${proof}\n` });
    expect(new Set(takeLeaks())).toEqual(
      new Set([
        "the output of a child process holds a child's token",
        'the output of a child process holds a proof',
      ]),
    );
  });

  test('on the console', () => {
    console.debug({ proof });
    expect(takeLeaks()).toContain('the console holds a proof');
  });

  test('signed by another library', async () => {
    const pair = (await crypto.subtle.generateKey('Ed25519', true, [
      'sign',
      'verify',
    ])) as webcrypto.CryptoKeyPair;
    const jwt = await new SignJWT({ sub: 'alice', jti: 'an id that is long enough to be told apart' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .sign(pair.privateKey);
    const { d = '' } = await crypto.subtle.exportKey('jwk', pair.privateKey);
    observe('a log line', `${jwt} ${d}`);
    expect(new Set(takeLeaks())).toEqual(
      new Set(['a log line holds an assertion', 'a log line holds a private key']),
    );
  });
});

describe('what may be shown is not taken for a leak', () => {
  test('the token in a token response, and nowhere else in it', () => {
    observe('a response', JSON.stringify({ access_token: envelope, token_type: 'DPoP' }));
    expect(takeLeaks()).toEqual([]);
    observe('a response', JSON.stringify({ access_token: envelope, debug: proof }));
    expect(takeLeaks()).not.toEqual([]);
  });

  test('public keys, thumbprints, entries of the log, receipts', async () => {
    const { publicKey } = createSigner(generatePrivateJwk());
    observe('a log line', JSON.stringify([publicKey.jwk, publicKey.thumbprint, ...world.ledger.leaves]));
    expect(await world.outcome(envelope)).toBe('allow');
    observe('a receipt', JSON.stringify(world.receipts));
    expect(takeLeaks()).toEqual([]);
  });
});
