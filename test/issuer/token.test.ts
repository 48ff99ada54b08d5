import { inspect, signJws } from '@bulla/verifier/envelope';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audience, IssuerWorld, newKey, type TokenChange } from '../kit/issuer.ts';

let world: IssuerWorld;
beforeAll(async () => {
  world = await IssuerWorld.create();
});
afterAll(async () => world.remove());

interface Answer {
  readonly access_token?: string;
  readonly token_type?: string;
  readonly expires_in?: number;
  readonly authorization_details?: unknown;
  readonly error?: string;
  readonly error_description?: string;
  readonly code?: string;
}
const ask = async (change?: TokenChange): Promise<Answer> =>
  (await (await world.token(change)).json()) as Answer;

describe('the token endpoint gives', () => {
  test('an agent an envelope bound to its key, for its owner', async () => {
    const response = await world.token();
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const answer = (await response.json()) as Answer;
    expect(answer).toMatchObject({ token_type: 'DPoP', expires_in: 300 });
    const { root } = inspect(answer.access_token ?? '');
    expect(root).toMatchObject({
      iss: world.issuerId,
      aud: [audience],
      sub: world.alice.id,
      client_id: world.agent.id,
      cnf: { jkt: world.agent.signer.publicKey.thumbprint },
      account: world.ledger.account,
      narrow: [],
    });
  });
  test('a person with a key of their own an envelope without agent', async () => {
    const { root } = inspect((await ask({ client: world.alice })).access_token ?? '');
    expect(root.sub).toBe(world.alice.id);
    expect(root.client_id).toBeUndefined();
  });
  test('the only audience there is when no resource is named', async () => {
    const { root } = inspect((await ask({ form: { resource: [] } })).access_token ?? '');
    expect(root.aud).toEqual([audience]);
  });
  test('an envelope narrowed to what was asked, and says so', async () => {
    const details = [
      { type: 'bulla', actions: ['read'], resources: [{ type: 'Folder', id: 'plans' }] },
      { type: 'bulla', actions: ['write'] },
    ];
    const answer = await ask({ form: { authorization_details: [JSON.stringify(details)] } });
    expect(answer.authorization_details).toEqual(details);
    const { root } = inspect(answer.access_token ?? '');
    expect(root.narrow).toHaveLength(1);
    expect(root.narrow[0]).toMatchObject({ effect: 'forbid', conditions: [{ kind: 'unless' }] });
  });
  test('a client that omits client_id and kid, and names the token endpoint as audience', async () => {
    const { agent } = world;
    const claims = { ...world.assertionClaims(agent.id), aud: `${world.issuerId}/oauth/token` };
    const assertion = signJws('JWT', {}, claims, agent.signer);
    expect((await world.token({ assertion, form: { client_id: [] } })).status).toBe(200);
  });
  test('an empty scope its meaning: none', async () => {
    expect((await world.token({ form: { scope: [''] } })).status).toBe(200);
  });
});

const stranger = newKey();
const rows: readonly (readonly [name: string, change: () => TokenChange, code: string, error: string])[] = [
  [
    'another grant type',
    () => ({ form: { grant_type: ['password'] } }),
    'grant_type_unsupported',
    'unsupported_grant_type',
  ],
  ['no grant type', () => ({ form: { grant_type: [] } }), 'parameter_invalid', 'invalid_request'],
  [
    'a repeated parameter',
    () => ({ form: { client_id: ['a', 'a'] } }),
    'parameter_invalid',
    'invalid_request',
  ],
  ['a scope', () => ({ form: { scope: ['orders'] } }), 'scope_refused', 'invalid_scope'],
  ['a client secret', () => ({ form: { client_secret: ['x'] } }), 'client_unauthenticated', 'invalid_client'],
  [
    'HTTP authentication',
    () => ({ headers: { authorization: 'Basic YTpi' } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  ['no assertion', () => ({ form: { client_assertion: [] } }), 'client_unauthenticated', 'invalid_client'],
  [
    'an assertion by an unlogged key',
    () => ({ assertionSigner: stranger.signer }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    "an assertion by its owner's key",
    () => ({ assertionSigner: world.alice.signer }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an unknown client',
    () => ({ client: { id: `agt_${'0'.repeat(32)}`, signer: stranger.signer } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'a client_id that is not the subject',
    () => ({ form: { client_id: [world.alice.id] } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an issuer that is not the subject',
    () => ({ claims: { iss: 'other' } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion for another audience',
    () => ({ claims: { aud: 'https://other.example' } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion for another audience as well',
    () => ({ claims: { aud: [world.issuerId, 'https://other.example'] } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion without audience',
    () => ({ claims: { aud: [] } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an expired assertion',
    () => ({ claims: { exp: Math.floor(world.ports.now()) - 1 } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion good for an hour',
    () => ({ claims: { exp: Math.floor(world.ports.now()) + 3600 } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion from the future',
    () => ({ claims: { nbf: Math.floor(world.ports.now()) + 60 } }),
    'client_unauthenticated',
    'invalid_client',
  ],
  ['an assertion without jti', () => ({ claims: { jti: '' } }), 'client_unauthenticated', 'invalid_client'],
  [
    'an assertion of another type',
    () => ({ assertion: signJws('dpop+jwt', {}, world.assertionClaims(world.agent.id), world.agent.signer) }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion with its own key',
    () => ({
      assertion: signJws(
        'JWT',
        { jwk: { ...stranger.signer.publicKey.jwk } },
        world.assertionClaims(world.agent.id),
        stranger.signer,
      ),
    }),
    'client_unauthenticated',
    'invalid_client',
  ],
  [
    'an assertion that is not a JWS',
    () => ({ assertion: 'a.b' }),
    'client_unauthenticated',
    'invalid_client',
  ],
  ['no proof', () => ({ proof: '' }), 'proof_refused', 'invalid_dpop_proof'],
  [
    'a proof by an unlogged key',
    () => ({ proofSigner: stranger.signer }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    "a proof by its owner's key",
    () => ({ proofSigner: world.alice.signer }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof for another method',
    () => ({ proofChange: { method: 'GET' } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof for another URL',
    () => ({ proofChange: { url: 'https://issuer.example/oauth/token' } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'an old proof',
    () => ({ proofChange: { now: world.ports.now() - 61 } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof from the future',
    () => ({ proofChange: { now: world.ports.now() + 7 } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof of another body',
    () => ({ proofChange: { plain: false, body: 'other' } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof of a query',
    () => ({ proofChange: { plain: false, url: `${world.issuerId}/oauth/token?a=b` } }),
    'proof_refused',
    'invalid_dpop_proof',
  ],
  [
    'a proof with a made-up nonce',
    () => ({ proofChange: { nonce: 'x'.repeat(30) } }),
    'nonce_required',
    'use_dpop_nonce',
  ],
  [
    'an unregistered resource',
    () => ({ form: { resource: ['https://other.example'] } }),
    'target_refused',
    'invalid_target',
  ],
  [
    'a repeated resource',
    () => ({ form: { resource: [audience, audience] } }),
    'target_refused',
    'invalid_target',
  ],
  [
    'details that are not JSON',
    () => ({ form: { authorization_details: ['{'] } }),
    'details_refused',
    'invalid_authorization_details',
  ],
  [
    'details of another type',
    () => ({ form: { authorization_details: ['[{"type":"payment"}]'] } }),
    'details_refused',
    'invalid_authorization_details',
  ],
  [
    'details with an unknown member',
    () => ({ form: { authorization_details: ['[{"type":"bulla","actions":["read"],"permit":[]}]'] } }),
    'details_refused',
    'invalid_authorization_details',
  ],
  [
    'details with an unknown action',
    () => ({ form: { authorization_details: ['[{"type":"bulla","actions":["fly"]}]'] } }),
    'details_refused',
    'invalid_authorization_details',
  ],
  [
    'details with an unknown resource type',
    () => ({
      form: {
        authorization_details: [
          '[{"type":"bulla","actions":["read"],"resources":[{"type":"Ship","id":"1"}]}]',
        ],
      },
    }),
    'details_refused',
    'invalid_authorization_details',
  ],
];

describe('the token endpoint refuses', () => {
  test.each(rows)('%s', async (_, change, code, error) => {
    const answer = await ask(change());
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error });
    expect(answer.error_description).toMatch(/^[\u0020\u0021\u0023-\u005b\u005d-\u007e]+$/u);
    expect(answer.access_token).toBeUndefined();
  });
  test('an assertion used twice', async () => {
    const { agent } = world;
    const claims = world.assertionClaims(agent.id);
    const assertion = signJws('JWT', {}, claims, agent.signer);
    expect((await world.token({ assertion })).status).toBe(200);
    expect((await ask({ assertion })).code).toBe('client_unauthenticated');
    const again = signJws('JWT', {}, { ...claims, exp: Number(claims['exp']) + 1 }, agent.signer);
    expect((await ask({ assertion: again })).code).toBe('client_unauthenticated');
  });
  test('a proof used twice', async () => {
    const proof = world.proof(world.agent.signer);
    expect((await world.token({ proof })).status).toBe(200);
    expect(await ask({ proof })).toMatchObject({ code: 'proof_refused', error: 'invalid_dpop_proof' });
  });
  test('both used twice, naming the assertion; a request refused for one leaves the other good', async () => {
    const { agent } = world;
    const [assertion, other] = [0, 1].map(() =>
      signJws('JWT', {}, world.assertionClaims(agent.id), agent.signer),
    );
    const [proof, fresh] = [0, 1].map(() => world.proof(agent.signer));
    if (assertion === undefined || other === undefined || proof === undefined || fresh === undefined)
      throw new Error();
    expect((await world.token({ assertion, proof })).status).toBe(200);
    expect((await ask({ assertion, proof })).code).toBe('client_unauthenticated');
    expect((await ask({ assertion: other, proof })).code).toBe('proof_refused');
    expect((await ask({ assertion, proof: fresh })).code).toBe('client_unauthenticated');
    expect((await world.token({ assertion: other, proof: fresh })).status).toBe(200);
  });
  test('a form that is too large, and a body that is no form', async () => {
    expect((await ask({ form: { padding: ['x'.repeat(70_000)] } })).code).toBe('body_too_large');
    expect((await ask({ headers: { 'content-type': 'application/json' } })).code).toBe('body_invalid');
  });
  test('an account it does not host', async () => {
    const response = await world.issuer.app.request('/a/acct_x/oauth/token', { method: 'POST' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'account_unknown' });
  });
  test('without ever logging or answering a token, assertion or proof', async () => {
    const assertion = signJws('JWT', {}, world.assertionClaims(world.agent.id), stranger.signer);
    const proof = world.proof(stranger.signer);
    const text = await (await world.token({ assertion, proof })).text();
    for (const secret of [assertion, proof]) {
      expect(text).not.toContain(secret.slice(-40));
      expect(JSON.stringify(world.lines)).not.toContain(secret.slice(-40));
    }
  });
});
