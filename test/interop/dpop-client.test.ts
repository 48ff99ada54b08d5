import { type PublicJwk, parsePublicJwk } from '@bulla/verifier';
import { checkProof, readRequest } from '@bulla/verifier/envelope';
import { generateKeyPair, generateProof, type KeyPair } from 'dpop';
import { describe, expect, test } from 'vitest';
import { codeOf, envelope, origin } from '../kit/deciding.ts';
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

async function publicJwkOf(keys: KeyPair): Promise<PublicJwk> {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys.publicKey);
  return { kty, crv, x, ...(y === undefined ? {} : { y }) } as PublicJwk;
}
