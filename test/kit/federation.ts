import { constants, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { Signer } from '@bulla/verifier';
import {
  bindingOf,
  type Json,
  type JsonObject,
  type OutsideJwk,
  parseOutsideJwk,
  type RootClaims,
} from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import { ApiWorld } from './api.ts';
import { newSigner } from './log.ts';

export type OutsideKind = 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA';

interface KeyPair {
  readonly jwk: OutsideJwk;
  readonly key: KeyObject;
}

// The types of Node 20 do not know the format. Generated keys leave Node as JWKs at once: see verifier/keys.ts.
const encoding = { format: 'jwk' } as { format: never; type: never };
const encodings = { publicKeyEncoding: encoding, privateKeyEncoding: encoding };

function generate(kind: OutsideKind, bits: number): KeyPair {
  const pair =
    kind === 'EdDSA'
      ? generateKeyPairSync('ed25519', encodings)
      : kind === 'ES256' || kind === 'ES384'
        ? generateKeyPairSync('ec', { namedCurve: kind === 'ES256' ? 'P-256' : 'P-384', ...encodings })
        : generateKeyPairSync('rsa', { modulusLength: bits, ...encodings });
  const { publicKey: jwk, privateKey } = pair as unknown as {
    readonly publicKey: OutsideJwk;
    readonly privateKey: JsonObject;
  };
  return { jwk, key: createPrivateKey({ key: privateKey as never, format: 'jwk' }) };
}

function signWith(kind: OutsideKind, key: KeyObject, data: Buffer): Buffer {
  switch (kind) {
    case 'RS256':
      return sign('sha256', data, key);
    case 'PS256':
      return sign('sha256', data, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    case 'EdDSA':
      return sign(null, data, key);
    default:
      return sign(kind === 'ES256' ? 'sha256' : 'sha384', data, { key, dsaEncoding: 'ieee-p1363' });
  }
}

/** An issuer that is none of ours: its key, and tokens of whatever form. */
export class OutsideIssuer {
  readonly kind: OutsideKind;
  readonly jwk: OutsideJwk;
  readonly #key: KeyObject;

  constructor(kind: OutsideKind = 'ES256', bits = 2048) {
    this.kind = kind;
    const { jwk, key } = generate(kind, bits);
    this.jwk = jwk;
    this.#key = key;
  }

  get thumbprint(): string {
    return parseOutsideJwk(this.jwk).thumbprint;
  }

  /** A token with these claims; `header` replaces or removes (undefined) members. */
  token(
    claims: Readonly<Record<string, Json | undefined>>,
    header: Record<string, Json | undefined> = {},
  ): string {
    return this.raw(
      JSON.stringify({ alg: this.kind, typ: 'JWT', kid: 'k1', ...header }),
      JSON.stringify(claims),
    );
  }

  /** A token of exactly these texts. */
  raw(header: string, payload: string, kind: OutsideKind = this.kind): string {
    const input = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
    return `${input}.${signWith(kind, this.#key, Buffer.from(input)).toString('base64url')}`;
  }
}

const githubIssuer = 'https://token.actions.githubusercontent.com';

type Change = Readonly<Record<string, Json | undefined>>;

/** What GitHub says of a job that its owner started, 5 s ago. */
export function githubClaims(binding: string, now: number, change: Change = {}): Change {
  return {
    iss: githubIssuer,
    aud: binding,
    sub: 'repo:octo-org/octo-repo:ref:refs/heads/main',
    repository: 'octo-org/octo-repo',
    repository_id: '74',
    ref: 'refs/heads/main',
    event_name: 'push',
    run_id: '30',
    iat: now - 5,
    nbf: now - 605,
    exp: now + 295,
    jti: 'one',
    ...change,
  };
}

/** A record of the log as `federation.trust` writes it. */
export function recordOf(
  issuer: Pick<OutsideIssuer, 'thumbprint'>,
  change: Partial<FederationRecord> = {},
): FederationRecord {
  return {
    status: 'trusted',
    issuer: githubIssuer,
    profile: 'github',
    keys: [issuer.thumbprint],
    claims: { repository: 'octo-org/octo-repo' },
    audience: null,
    agent: 'agt_0123456789abcdef0123456789abcdef',
    ...change,
  };
}

/** An API as {@link ApiWorld}, and GitHub trusted under the name `build` for alice's agent, whose job holds `job`. */
export class FederatedWorld extends ApiWorld {
  readonly outside: OutsideIssuer;
  /** The key of a job: in no log. */
  readonly job: Signer = newSigner();

  constructor(
    outside: OutsideIssuer = new OutsideIssuer(),
    options: ConstructorParameters<typeof ApiWorld>[0] = {},
  ) {
    super(options);
    this.outside = outside;
    this.ledger.trustOutside(this.agent, { keys: [outside.thumbprint] });
  }

  /** Claims of a token that GitHub gave the job. */
  outsideClaims(change: Change = {}, holder: Signer = this.job): Change {
    return githubClaims(bindingOf(this.ledger.account, holder.publicKey.thumbprint), this.now, change);
  }

  /** Members of a federated root, for a token with these claims. */
  federated(change: Change = {}, holder: Signer = this.job): Pick<RootClaims, 'cnf' | 'key' | 'federated'> {
    return this.carrying(this.outside.token(this.outsideClaims(change, holder)), holder);
  }

  /** Members of a federated root around this token. */
  carrying(token: string, holder: Signer = this.job): Pick<RootClaims, 'cnf' | 'key' | 'federated'> {
    const { jwk } = this.outside;
    return {
      cnf: { jwk: holder.publicKey.jwk },
      key: 'federated',
      federated: { trust: 'build', token, jwk },
    };
  }

  /** Members of a vouched root. */
  vouched(holder: Signer = this.job): Pick<RootClaims, 'cnf' | 'key'> {
    return { cnf: { jwk: holder.publicKey.jwk }, key: 'vouched' };
  }

  vouch(...actions: readonly string[]): void {
    this.ledger.do({ type: 'agent.vouch', agent: this.agent.id, actions });
  }
}
