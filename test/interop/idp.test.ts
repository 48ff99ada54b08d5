import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { afterEach, expect, test } from 'vitest';
import { type Idp, startIdp } from '../kit/idp.ts';

let idp: Idp | undefined;
afterEach(async () => {
  await idp?.close();
  idp = undefined;
});

test.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const)(
  'the IdP of the tests gives M2M tokens of the shape of Auth0, signed with %s',
  async (algorithm) => {
    idp = await startIdp({ algorithm });
    const resource = 'https://issuer.example/a/acct';
    const token = await idp.accessToken('reports-agent', { resource, scope: 'read' });
    const { payload, protectedHeader } = await jwtVerify(token, createRemoteJWKSet(new URL(idp.jwksUri)), {
      issuer: idp.issuer,
      audience: resource,
      typ: 'at+jwt',
    });
    expect(protectedHeader.alg).toBe(algorithm);
    expect(payload).toMatchObject({
      owner: 'alice@corp.example',
      agent_type: 'autonomous',
      azp: 'reports-agent',
      client_id: 'reports-agent',
      sub: 'reports-agent',
      scope: 'read',
    });
    expect(decodeJwt(token).exp).toBe((payload.iat ?? 0) + 600);
  },
);

test('a wrong secret gets nothing', async () => {
  idp = await startIdp();
  const { tokenEndpoint } = idp;
  const answer = await fetch(tokenEndpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'reports-agent',
      client_secret: 'guess',
    }),
  });
  expect(answer.status).toBe(401);
});
