import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Account,
  type Connection,
  createIssuer,
  type Issuer,
  type IssuerConfig,
  type IssuerPorts,
  initAccount,
  type LogLine,
  parseConfig,
  systemIssuerPorts,
} from '@bulla/issuer';
import { createSigner, generatePrivateJwk, type PrivateJwk, type Signer } from '@bulla/verifier';
import { createProof, type JsonObject, signJws } from '@bulla/verifier/envelope';
import type { Lease } from '@bulla/verifier/log';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { notesPolicy } from './api.ts';
import { observe, rememberWord } from './leaks.ts';
import { createLedger, type Ledger, type Party } from './log.ts';

export const audience = 'https://api.example';
export const readToken = 'read-token-of-a-test';

interface KeyPair {
  readonly jwk: PrivateJwk;
  readonly signer: Signer;
}

export function newKey(curve: 'Ed25519' | 'P-256' = 'Ed25519'): KeyPair {
  const jwk = generatePrivateJwk(curve);
  return { jwk, signer: createSigner(jwk) };
}

/** What is posted to append a leaf: with those of the policy sets that it publishes. */
export function entryBody(leaf: string, documents: readonly PolicySetDocument[]): object {
  const payload = Buffer.from(leaf.split('.')[1] ?? '', 'base64url').toString();
  const needed = documents.filter((document) => payload.includes(policySetDigest(document)));
  return needed.length === 0 ? { leaf } : { leaf, documents: needed };
}

export interface IssuerWorldOptions {
  /** Unix seconds; default: real time. */
  readonly now?: number;
  readonly publicUrl?: string;
  readonly config?: Partial<IssuerConfig>;
  readonly account?: Partial<IssuerConfig['accounts'][number]>;
  /** Default: a day from now. */
  readonly leaseSeconds?: number;
  readonly agentKey?: Signer;
  /** Registered in slot `main` and in the mint's lease, beside {@link audience}. */
  readonly audiences?: readonly string[];
  readonly ports?: Partial<IssuerPorts>;
  /** A connection `okta` with {@link IssuerWorld.idp} as its delegate, whose lease lists the group `engineers`
   * and the domain of tests. */
  readonly connection?: Partial<IssuerConfig['accounts'][number]['connections'][number]>;
  readonly connectionLease?: Partial<Lease>;
  /** What the lease of the relay lists beside `request.relay`. */
  readonly relayed?: readonly string[];
}

/** What a connection does. */
export const provisioning: readonly string[] = [
  'principal.provision',
  'principal.update',
  'principal.suspend',
  'principal.resume',
  'principal.deprovision',
  'member.add',
  'member.remove',
];

/**
 * An account in a real store: genesis, group `staff`, the notes policy in slot `main`, one audience, a mint and a
 * delegate with leases, alice with her agent. Everything after genesis went through the issuer.
 */
export class IssuerWorld {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'bulla-issuer-'));
  readonly ledger: Ledger;
  readonly log: KeyPair = newKey();
  readonly mint: KeyPair = newKey();
  readonly delegate: KeyPair = newKey();
  /** Delegate of the connection `okta`, where there is one. */
  readonly idp: KeyPair = newKey();
  readonly lines: LogLine[] = [];
  readonly config: IssuerConfig;
  readonly ports: IssuerPorts;
  /** Moves the issuer's clock, seconds. */
  ahead = 0;
  issuer!: Issuer;
  alice!: Party;
  agent!: Party;

  private constructor(options: IssuerWorldOptions) {
    const fixed = options.now;
    const base = () => fixed ?? Date.now() / 1000;
    this.ledger = createLedger({ time: Math.floor(base()), logKey: this.log.signer });
    this.ports = {
      ...systemIssuerPorts,
      now: () => base() + this.ahead,
      log: (line) => {
        observe('a log line of the issuer', JSON.stringify(line));
        this.lines.push(line);
      },
      ...options.ports,
    };
    this.config = parseConfig({
      publicUrl: options.publicUrl ?? 'https://issuer.example',
      database: join(this.dir, 'issuer.db'),
      port: 0,
      ...options.config,
      accounts: [
        {
          account: this.ledger.account,
          logKeyFile: this.#keyFile('log', this.log.jwk),
          mintKeyFile: this.#keyFile('mint', this.mint.jwk),
          delegateKeyFile: this.#keyFile('delegate', this.delegate.jwk),
          readTokens: [{ name: 'test', sha256: createHash('sha256').update(readToken).digest('base64url') }],
          ...(options.connection !== undefined && {
            connections: [
              {
                name: 'okta',
                delegateKeyFile: this.#keyFile('okta', this.idp.jwk),
                groups: { Engineers: 'engineers' },
                ...options.connection,
              },
            ],
          }),
          ...options.account,
        },
      ],
    });
  }

  static async create(options: IssuerWorldOptions = {}): Promise<IssuerWorld> {
    const world = new IssuerWorld(options);
    const { ledger } = world;
    await initAccount(world.config.database, ledger.leaves[0] ?? '');
    await world.start();
    ledger.group('staff', { protected: true });
    ledger.policy('main', policySetDigest(notesPolicy));
    const audiences = [audience, ...(options.audiences ?? [])];
    for (const each of audiences) ledger.audience(each);
    const notAfter = ledger.time + (options.leaseSeconds ?? 86_400);
    ledger.grant({ operations: ['capability.mint'], audiences, notAfter }, world.mint.signer);
    const relaying = ['request.relay', ...(options.relayed ?? [])];
    ledger.grant({ operations: relaying, notAfter }, world.delegate.signer);
    if (options.connection !== undefined) {
      ledger.group('engineers');
      ledger.trustDomain();
      ledger.grant(
        {
          operations: provisioning,
          connection: 'okta',
          groups: ['engineers'],
          maxEntriesPerHour: 1000,
          notAfter,
          ...options.connectionLease,
        },
        world.idp.signer,
      );
    }
    world.alice = ledger.person({ groups: ['staff'] });
    world.agent = ledger.agent(world.alice, options.agentKey && { signer: options.agentKey });
    for (const leaf of ledger.leaves.slice(1)) await world.appended(leaf, [notesPolicy]);
    return world;
  }

  #keyFile(name: string, jwk: PrivateJwk): string {
    const file = join(this.dir, `${name}.jwk`);
    writeFileSync(file, JSON.stringify(jwk), { mode: 0o600 });
    return file;
  }

  async start(): Promise<void> {
    this.issuer = await createIssuer(this.config, this.ports);
  }

  async restart(): Promise<void> {
    await this.issuer.close();
    await this.start();
  }

  async remove(): Promise<void> {
    await this.issuer.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What the issuer's routes work on. */
  get hosted(): Account {
    const account = this.issuer.accounts.get(this.ledger.account);
    if (account === undefined) throw new Error('account is not hosted');
    return account;
  }

  /** The connection `okta`. */
  get okta(): Connection {
    return this.connectionNamed('okta');
  }

  connectionNamed(name: string): Connection {
    const connection = this.hosted.connections.get(name);
    if (connection === undefined) throw new Error(`there is no connection ${name}`);
    return connection;
  }

  get base(): string {
    return `/a/${this.ledger.account}`;
  }

  get issuerId(): string {
    return `${this.config.publicUrl}${this.base}`;
  }

  /** `token` null: none. */
  async get(path: string, token: string | null = readToken): Promise<Response> {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    return this.issuer.app.request(`${this.base}${path}`, { headers });
  }

  async post(path: string, body: unknown, token: string | null = readToken): Promise<Response> {
    return this.issuer.app.request(`${this.base}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
  }

  /** Posts a leaf with the document it publishes, if any. */
  async postLeaf(leaf: string, documents: readonly PolicySetDocument[] = []): Promise<Response> {
    return this.post('/log/entries', entryBody(leaf, documents));
  }

  async appended(leaf: string, documents: readonly PolicySetDocument[] = []): Promise<void> {
    const response = await this.postLeaf(leaf, documents);
    if (response.status !== 201) throw new Error(`entry was refused: ${await response.text()}`);
  }

  /** Claims of an honest client assertion. */
  assertionClaims(clientId: string): JsonObject {
    const now = Math.floor(this.ports.now());
    return { iss: clientId, sub: clientId, aud: this.issuerId, jti: randomUUID(), iat: now, exp: now + 60 };
  }

  async token(change: TokenChange = {}): Promise<Response> {
    const client = change.client ?? this.agent;
    const claims = { ...this.assertionClaims(client.id), ...change.claims };
    const signer = change.assertionSigner ?? client.signer;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: client.id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion:
        change.assertion ?? signJws('JWT', { kid: signer.publicKey.thumbprint }, claims, signer),
      resource: audience,
    });
    for (const [name, value] of Object.entries(change.form ?? {})) {
      form.delete(name);
      for (const each of value) form.append(name, each);
    }
    for (const secret of [form.get('client_secret'), passwordOf(change.headers?.['authorization'])]) {
      if (secret !== null) rememberWord(secret, 'a client secret');
    }
    const proof = change.proof ?? this.proof(change.proofSigner ?? client.signer, change.proofChange);
    return this.issuer.app.request(`${this.base}/oauth/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(proof !== '' && { dpop: proof }),
        ...change.headers,
      },
      body: form.toString(),
    });
  }

  proof(signer: Signer, change: Partial<Parameters<typeof createProof>[0]> = {}): string {
    return createProof({
      method: 'POST',
      url: new URL(`${this.issuerId}/oauth/token`),
      signer,
      now: this.ports.now(),
      plain: true,
      ...change,
    });
  }
}

/** Of HTTP Basic as OAuth has it. */
function passwordOf(authorization = ''): string | null {
  const [, text] = Buffer.from(authorization.replace(/^Basic /u, ''), 'base64')
    .toString()
    .split(':', 2);
  return text === undefined ? null : new URLSearchParams(`x=${text}`).get('x');
}

export interface TokenChange {
  readonly client?: Party;
  readonly claims?: JsonObject;
  readonly assertion?: string;
  readonly assertionSigner?: Signer;
  /** Replaces a parameter; an empty list removes it. */
  readonly form?: Readonly<Record<string, readonly string[]>>;
  /** The whole proof; '' = none. */
  readonly proof?: string;
  readonly proofSigner?: Signer;
  readonly proofChange?: Partial<Parameters<typeof createProof>[0]>;
  readonly headers?: Readonly<Record<string, string>>;
}
