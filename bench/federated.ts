import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { bindingOf, encodeBase64url, type OutsideJwk } from '@bulla/verifier/envelope';
import { calculateJwkThumbprint } from 'jose';
import { chainRow } from './chains.ts';
import { allowed } from './decisions.ts';
import { accessTo, policySet } from './policies.ts';
import type { Call, Scenario } from './rounds.ts';
import { World } from './world.ts';

type Algorithm = 'rs256' | 'es256';

/** Roots that carry the token of an outside issuer, beside a root whose key is in the log. */
export async function federatedScenarios(): Promise<readonly Scenario[]> {
  const scenarios: Scenario[] = [];
  for (const algorithm of ['rs256', 'es256'] as const) {
    const issuer = await outsideIssuer(algorithm);
    scenarios.push(federated('cold', algorithm, issuer), federated('warm', algorithm, issuer));
  }
  return scenarios;
}

interface OutsideIssuer {
  readonly jwk: OutsideJwk;
  readonly thumbprint: string;
  sign(claims: Readonly<Record<string, unknown>>): string;
}

const url = 'https://token.actions.githubusercontent.com';
const repository = 'octo-org/octo-repo';

async function outsideIssuer(algorithm: Algorithm): Promise<OutsideIssuer> {
  const { privateKey, publicKey } =
    algorithm === 'rs256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const exported = publicKey.export({ format: 'jwk' });
  const header = encodeBase64url(Buffer.from(JSON.stringify({ alg: algorithm.toUpperCase(), typ: 'JWT' })));
  return {
    jwk: exported as OutsideJwk,
    thumbprint: await calculateJwkThumbprint(exported),
    sign: (claims) => {
      const input = `${header}.${encodeBase64url(Buffer.from(JSON.stringify(claims)))}`;
      const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${encodeBase64url(signature)}`;
    },
  };
}

/** `cold`: a new outside token in each envelope. */
function federated(seen: 'cold' | 'warm', algorithm: Algorithm, issuer: OutsideIssuer): Scenario {
  const world = new World({ policy: policySet({ policies: 10, entities: 1 }) });
  world.ledger.do({
    type: 'federation.trust',
    name: 'ci',
    issuer: url,
    profile: 'github',
    keys: [issuer.thumbprint],
    claims: { repository },
    agent: world.agentId,
  });
  const holder = createSigner(generatePrivateJwk());
  const verifier = world.verifier();
  const mint = (): string => {
    const iat = Math.floor(world.now);
    const token = issuer.sign({
      iss: url,
      sub: `repo:${repository}:ref:refs/heads/main`,
      aud: bindingOf(world.ledger.account, holder.publicKey.thumbprint),
      jti: randomUUID(),
      iat,
      exp: iat + 300,
      repository,
      event_name: 'push',
    });
    return world.envelope({
      cnf: { jwk: holder.publicKey.jwk },
      key: 'federated',
      federated: { trust: 'ci', token, jwk: issuer.jwk },
    });
  };
  const call = (envelope: string): Call => allowed(verifier, world.request(envelope, holder), accessTo(1));
  let kept: string | undefined;
  return {
    name: `federated.${seen}.${algorithm}`,
    against: [chainRow('', seen, 0)],
    calls: 100,
    prepare: async (calls) => {
      if (seen === 'warm' && kept === undefined) {
        kept = mint();
        await call(kept)();
      }
      return Array.from({ length: calls }, () => call(kept ?? mint()));
    },
  };
}
