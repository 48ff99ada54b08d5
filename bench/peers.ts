import { randomUUID } from 'node:crypto';
import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { createProof } from '@bulla/verifier/envelope';
import { importJWK, jwtVerify, SignJWT } from 'jose';
import { customFetch, type ExportedJWKSCache, jwksCache, validateJwtAccessToken } from 'oauth4webapi';
import type { Scenario } from './rounds.ts';
import type { Curve } from './world.ts';

const issuer = 'https://issuer.example';
const audience = 'https://api.example';

/** How scenario names spell a curve. */
export const algorithmOf: Readonly<Record<Curve, 'ed25519' | 'es256'>> = {
  Ed25519: 'ed25519',
  'P-256': 'es256',
};

export const joseRow = (curve: Curve): string => `jose.jwtVerify.${algorithmOf[curve]}`;

interface Peer {
  readonly now: number;
  readonly curve: Curve;
  /** An RFC 9068 access token, bound to `holder`. */
  readonly token: string;
  readonly publicKey: Awaited<ReturnType<typeof importJWK>>;
  readonly holder: ReturnType<typeof createSigner>;
  readonly keySet: ExportedJWKSCache;
}

export async function createPeer(curve: Curve): Promise<Peer> {
  const now = Math.floor(Date.now() / 1000);
  const alg = curve === 'Ed25519' ? 'EdDSA' : 'ES256';
  const jwk = generatePrivateJwk(curve);
  const { d: _, ...publicJwk } = jwk;
  const holder = createSigner(generatePrivateJwk(curve));
  const token = await new SignJWT({
    client_id: 'agt_00000000000000000000000000000000',
    cnf: { jkt: holder.publicKey.thumbprint },
    jti: randomUUID(),
  })
    .setProtectedHeader({ alg, typ: 'at+jwt', kid: 'mint' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('prn_00000000000000000000000000000000')
    .setIssuedAt(now)
    .setExpirationTime(now + 86_400)
    .sign(await importJWK(jwk, alg));
  return {
    now,
    curve,
    token,
    publicKey: await importJWK(publicJwk, alg),
    holder,
    keySet: { jwks: { keys: [{ ...publicJwk, alg, use: 'sig', kid: 'mint' }] }, uat: now },
  };
}

/** Bare `jwtVerify`: one signature, issuer, audience, type and times. No proof, no replay, no policy, no revocation. */
export function joseScenario(peer: Peer): Scenario {
  return {
    name: joseRow(peer.curve),
    against: [],
    prepare: (calls) =>
      Array.from({ length: calls }, () => async () => {
        await jwtVerify(peer.token, peer.publicKey, { issuer, audience, typ: 'at+jwt' });
      }),
  };
}

/** The same token with a DPoP proof: two signatures. No replay store, no policy, no revocation. */
export function oauthScenario(peer: Peer): Scenario {
  const url = `${audience}/documents/1`;
  return {
    name: `oauth4webapi.validateJwtAccessToken.${algorithmOf[peer.curve]}`,
    against: [joseRow(peer.curve)],
    prepare: (calls) => {
      // Five minutes after it read a key set it reads it again, which a slow run would meet.
      const server = { issuer, jwks_uri: `${issuer}/jwks` };
      const keySet = { ...peer.keySet, uat: Math.floor(Date.now() / 1000) };
      return Array.from({ length: calls }, () => {
        const now = Date.now() / 1000;
        const { holder, token: envelope } = peer;
        const dpop = createProof({ method: 'GET', url, envelope, signer: holder, now, plain: true });
        const request = new Request(url, { headers: { authorization: `DPoP ${envelope}`, dpop } });
        return async () => {
          await validateJwtAccessToken(server, request, audience, {
            requireDPoP: true,
            [jwksCache]: keySet,
            [customFetch]: () => Promise.reject(new Error('key set was not cached')),
          });
        };
      });
    },
  };
}
