import type { AddressInfo } from 'node:net';
import { createSigner, generatePrivateJwk, type PublicKey, parsePublicJwk } from '@bulla/verifier';
import { type Json, parseJws, type RootClaims, signRoot, verifyJws } from '@bulla/verifier/envelope';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

interface Listening {
  readonly origin: string;
  close(): Promise<void>;
}

async function listen(app: Hono): Promise<Listening> {
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

const mint = createSigner(generatePrivateJwk());
const account = 'acct_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

interface TokenRequest {
  readonly form: URLSearchParams;
  readonly assertion: Readonly<Record<string, Json>>;
  readonly proof: Readonly<Record<string, Json>>;
}

/** An issuer that mints for whoever asks, records what it was asked, and can be told to misbehave. */
export interface FakeIssuer extends Listening {
  readonly issuer: string;
  readonly requests: TokenRequest[];
  readonly now: () => number;
  behaviour: {
    nonce?: string;
    refuse?: { status: number; body: unknown };
    answer?: unknown;
    metadata?: unknown;
    claims?: Partial<RootClaims>;
    /** Held back until this resolves. */
    gate?: Promise<void>;
  };
}

/** Payload of the client's assertion, of which a token exchange has none. */
function assertionOf(form: URLSearchParams, key: PublicKey): Readonly<Record<string, Json>> {
  if (form.get('grant_type') !== 'client_credentials') return {};
  const assertion = parseJws(form.get('client_assertion') ?? '', { typ: 'JWT', members: ['kid'] });
  verifyJws(assertion, key);
  return assertion.payload;
}

export async function fakeIssuer(now: () => number): Promise<FakeIssuer> {
  const app = new Hono();
  const requests: TokenRequest[] = [];
  const path = `/a/${account}`;
  const behaviour: FakeIssuer['behaviour'] = {};
  app.get(`/.well-known/oauth-authorization-server${path}`, (c) => {
    const issuer = new URL(c.req.url).origin + path;
    return c.json(behaviour.metadata ?? { issuer, token_endpoint: `${issuer}/oauth/token` });
  });
  app.post(`${path}/oauth/token`, async (c) => {
    const origin = new URL(c.req.url).origin;
    const form = new URLSearchParams(await c.req.text());
    const proof = parseJws(c.req.header('dpop') ?? '', { typ: 'dpop+jwt', members: ['jwk'] });
    const key = parsePublicJwk(proof.header['jwk']);
    verifyJws(proof, key);
    requests.push({ form, assertion: assertionOf(form, key), proof: proof.payload });
    await behaviour.gate;
    if (behaviour.refuse !== undefined) {
      return new Response(JSON.stringify(behaviour.refuse.body), { status: behaviour.refuse.status });
    }
    if (behaviour.nonce !== undefined && proof.payload['nonce'] !== behaviour.nonce) {
      return c.json({ error: 'use_dpop_nonce' }, 400, { 'dpop-nonce': behaviour.nonce });
    }
    if (behaviour.answer !== undefined) return new Response(JSON.stringify(behaviour.answer));
    const iat = Math.floor(now());
    const claims: RootClaims = {
      iss: origin + path,
      aud: form.getAll('resource'),
      sub: 'prn_00000000000000000000000000000001',
      jti: `jti-${requests.length}`,
      iat,
      exp: iat + 300,
      account,
      epoch: { principal: 0, agent: 0 },
      client_id: form.get('client_id') ?? 'agt_00000000000000000000000000000002',
      ...(form.has('subject_token')
        ? { cnf: { jwk: key.jwk }, key: 'vouched' }
        : { cnf: { jkt: key.thumbprint }, key: 'logged' }),
      policy: 'sha-256:AAAA',
      narrow: [],
      depth: 4,
      ...behaviour.claims,
    };
    return c.json({ access_token: signRoot(claims, mint), token_type: 'DPoP', expires_in: 300 });
  });
  const listening = await listen(app);
  return { ...listening, issuer: listening.origin + path, requests, behaviour, now };
}

interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly envelope: string;
  readonly proof: Readonly<Record<string, Json>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An API that records each request and answers with the next of `answers`, or 200. */
export interface FakeApi extends Listening {
  readonly seen: SeenRequest[];
  readonly answers: Response[];
}

export async function fakeApi(): Promise<FakeApi> {
  const seen: SeenRequest[] = [];
  const answers: Response[] = [];
  const app = new Hono();
  app.all('*', async (c) => {
    const url = new URL(c.req.url);
    seen.push({
      method: c.req.method,
      path: url.pathname + url.search,
      envelope: (c.req.header('authorization') ?? '').replace(/^DPoP /u, ''),
      proof: parseJws(c.req.header('dpop') ?? '', { typ: 'dpop+jwt', members: ['jwk'] }).payload,
      headers: c.req.header(),
      body: await c.req.text(),
    });
    return answers.shift() ?? c.json({ ok: true });
  });
  return { ...(await listen(app)), seen, answers };
}
