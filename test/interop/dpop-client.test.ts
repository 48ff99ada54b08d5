import { type PublicJwk, parsePublicJwk } from '@bulla/verifier';
import { checkProof, readRequest, signJws } from '@bulla/verifier/envelope';
import { generateKeyPair, generateProof, type KeyPair } from 'dpop';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf, envelope, origin } from '../kit/deciding.ts';
import { audience, newKey } from '../kit/issuer.ts';
import { type Live, startLive } from '../kit/live.ts';
import { importPair } from '../kit/web-keys.ts';
import { publicOrigins } from '../kit/wire.ts';

describe.each(['Ed25519', 'ES256'] as const)('the unmodified `dpop` package with %s', (algorithm) => {
  const send = async (htu: string, target: string, body = '', route = {}) => {
    const keys = await generateKeyPair(algorithm, { extractable: false });
    const proof = await generateProof(keys, htu, 'POST', undefined, envelope);
    const headers: [string, string][] = [
      ['host', 'api.example'],
      ['authorization', `DPoP ${envelope}`],
      ['dpop', proof],
    ];
    const wire = { method: 'POST', target, headers, body: Buffer.from(body) };
    const holder = parsePublicJwk(await publicJwkOf(keys));
    const demands = { holder, now: Date.now() / 1000, route };
    return codeOf(() => checkProof(readRequest(wire, publicOrigins), demands));
  };

  test('passes on a request with neither query nor content', async () => {
    expect(await send(`${origin}/orders`, '/orders')).toBe('accepted');
  });
  test('is refused where it leaves query or content unbound', async () => {
    expect(await send(`${origin}/orders`, '/orders?page=2')).toBe('proof_query_mismatch');
    expect(await send(`${origin}/orders`, '/orders', '{}')).toBe('proof_content_mismatch');
  });
  test('passes there on a route that opted down', async () => {
    const route = { dangerouslyPlainDpop: true };
    expect(await send(`${origin}/orders`, '/orders?page=2', '{}', route)).toBe('accepted');
  });
  test('a query that it left in `htu` is refused', async () => {
    const url = `${origin}/orders?page=2`;
    expect(await send(url, '/orders?page=2')).toBe('proof_target_mismatch');
    expect(await send(url, '/orders?page=2', '', { dangerouslyPlainDpop: true })).toBe(
      'proof_target_mismatch',
    );
  });
});

let live: Live | undefined;
afterEach(async () => {
  await live?.close();
  live = undefined;
});

test.each(['Ed25519', 'P-256'] as const)(
  'a program with `dpop` and fetch alone gets a capability with its %s key, and calls the API',
  async (curve) => {
    const key = newKey(curve);
    live = await startLive({ agentKey: key.signer });
    const { world, issuer, apiOrigin } = live;
    const keys = await importPair(key.jwk);
    const { id, signer } = world.agent;
    const answer = await fetch(`${issuer.url}${world.base}/oauth/token`, {
      method: 'POST',
      headers: { dpop: await generateProof(keys, `${world.issuerId}/oauth/token`, 'POST') },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: id,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: signJws(
          'JWT',
          { kid: signer.publicKey.thumbprint },
          world.assertionClaims(id),
          signer,
        ),
        resource: audience,
      }),
    });
    const { access_token: token } = (await answer.json()) as { readonly access_token: string };
    const statusOf = async (method: string, path: string, body?: string): Promise<number> => {
      const [htu = ''] = `${apiOrigin}${path}`.split('?');
      const dpop = await generateProof(keys, htu, method, undefined, token);
      const headers = { authorization: `DPoP ${token}`, dpop };
      const response = await fetch(`${apiOrigin}${path}`, {
        method,
        headers,
        ...(body !== undefined && { body }),
      });
      return response.status;
    };
    expect(await statusOf('GET', '/notes/7')).toBe(200);
    expect(await statusOf('GET', '/notes/7?page=2')).toBe(401);
    expect(await statusOf('PUT', '/notes/7', 'milk')).toBe(401);
    expect(await statusOf('GET', '/plain/7?page=2')).toBe(200);
    expect(await statusOf('PUT', '/plain/7', 'milk')).toBe(200);
  },
);

async function publicJwkOf(keys: KeyPair): Promise<PublicJwk> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey);
  return { kty, crv, x, ...(y === undefined ? {} : { y }) } as PublicJwk;
}
