import { createVerifier, memoryReplay, type Signer } from '@bulla/verifier';
import { bindingOf, createProof, type Json } from '@bulla/verifier/envelope';
import type { Operation } from '@bulla/verifier/log';
import { notesPolicy } from './api.ts';
import { githubClaims, OutsideIssuer } from './federation.ts';
import { audience, IssuerWorld, type IssuerWorldOptions, newKey } from './issuer.ts';
import { OutsideServer } from './outside-server.ts';

export const tokenType = 'urn:ietf:params:oauth:token-type:';
export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Answer of the token endpoint. */
export interface Answer {
  readonly status: number;
  readonly access_token?: string;
  readonly issued_token_type?: string;
  readonly token_type?: string;
  readonly expires_in?: number;
  readonly scope?: string;
  readonly authorization_details?: unknown;
  readonly error?: string;
  readonly error_description?: string;
  readonly code?: string;
}

export interface ExchangeChange {
  readonly type?: 'jwt' | 'id_token' | 'access_token';
  /** Signs the proof. Default: the job's key. */
  readonly signer?: Signer;
  readonly proof?: string;
  readonly form?: Readonly<Record<string, readonly string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
}

type Change = Readonly<Record<string, Json | undefined>>;
type Trust = Extract<Operation, { readonly type: 'federation.trust' }>;

/** An issuer, an outside issuer in the shape of GitHub's on loopback, and alice's agent, which holds the key `job`. */
export class ExchangeWorld {
  readonly issuer: IssuerWorld;
  readonly outside: OutsideIssuer;
  readonly server: OutsideServer;
  /** In no log. */
  readonly job: Signer = newKey().signer;

  private constructor(issuer: IssuerWorld, outside: OutsideIssuer, server: OutsideServer) {
    this.issuer = issuer;
    this.outside = outside;
    this.server = server;
  }

  /** `federations` of the configuration: `build`, `idp` and `mesh` may be fetched from this machine. */
  static async create(
    options: IssuerWorldOptions = {},
    kind: OutsideIssuer['kind'] = 'RS256',
  ): Promise<ExchangeWorld> {
    const outside = new OutsideIssuer(kind);
    const server = await OutsideServer.start([outside]);
    const names = ['build', 'idp', 'mesh', 'other'];
    const issuer = await IssuerWorld.create({
      ...options,
      account: {
        keySetCooldownSeconds: 30,
        federations: names.map((name) => ({
          name,
          dangerouslyAllowPrivateAddresses: true,
          ...(name === 'mesh' && { jwksUrl: server.jwksUrl }),
        })),
        ...options.account,
      },
    });
    return new ExchangeWorld(issuer, outside, server);
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.issuer.remove();
  }

  get now(): number {
    return Math.floor(this.issuer.ports.now());
  }

  get agent(): IssuerWorld['agent'] {
    return this.issuer.agent;
  }

  /** Appends an operation of the admins. */
  async admin(op: Operation): Promise<void> {
    this.issuer.ledger.time = Math.max(this.issuer.ledger.time, this.now);
    this.issuer.ledger.do(op);
    await this.issuer.appended(this.issuer.ledger.lastLeaf);
  }

  /** Trusts the outside issuer for alice's agent: by default as GitHub Actions of one repository, under the name `build`. */
  async trust(change: Partial<Trust> = {}): Promise<void> {
    await this.admin({
      type: 'federation.trust',
      name: 'build',
      issuer: this.server.url,
      profile: 'github',
      keys: [this.outside.thumbprint],
      claims: { repository: 'octo-org/octo-repo' },
      agent: this.agent.id,
      ...change,
    });
  }

  async vouch(...actions: readonly string[]): Promise<void> {
    await this.admin({ type: 'agent.vouch', agent: this.agent.id, actions });
  }

  binding(holder: Signer = this.job): string {
    return bindingOf(this.issuer.ledger.account, holder.publicKey.thumbprint);
  }

  /** A GitHub Actions token for the job, or for another holder. */
  github(change: Change = {}, holder: Signer = this.job): string {
    const claims = githubClaims(this.binding(holder), this.now, { iss: this.server.url, ...change });
    return this.outside.token(claims);
  }

  /** An access token of Auth0's shape, bound to nothing. */
  machine(change: Change = {}): string {
    return this.outside.token({
      iss: this.server.url,
      sub: 'reports@clients',
      aud: 'https://issuer.example',
      azp: 'reports',
      gty: 'client-credentials',
      owner: 'alice@corp.example',
      agent_type: 'autonomous',
      iat: this.now - 60,
      exp: this.now + 3600,
      ...change,
    });
  }

  async exchange(subjectToken: string, change: ExchangeChange = {}): Promise<Answer> {
    const response = await this.issuer.token({
      form: {
        grant_type: [exchangeGrant],
        client_id: [],
        client_assertion: [],
        client_assertion_type: [],
        subject_token: [subjectToken],
        subject_token_type: [`${tokenType}${change.type ?? 'jwt'}`],
        ...change.form,
      },
      proofSigner: change.signer ?? this.job,
      ...(change.proof !== undefined && { proof: change.proof }),
      ...(change.headers !== undefined && { headers: change.headers }),
    });
    return { status: response.status, ...((await response.json()) as Omit<Answer, 'status'>) };
  }

  /** What an API says of a request with this envelope: `allow`, `deny`, or the code of a refusal. */
  async decide(envelope: string, action: string, holder: Signer = this.job): Promise<string> {
    const { ledger } = this.issuer;
    const now = this.issuer.ports.now();
    const verifier = createVerifier({
      account: ledger.account,
      audience,
      publicOrigins: [audience],
      trust: {
        account: ledger.account,
        size: ledger.leaves.length,
        root: 'root',
        read: ledger.read,
        age: () => 0,
        policySet: () => notesPolicy,
        stopped: () => false,
      },
      replay: memoryReplay({ processes: 1, startedAt: now - 3600 }),
      ports: { now: () => now },
    });
    const proof = createProof({ method: 'GET', url: `${audience}/notes/1`, signer: holder, envelope, now });
    try {
      const { allowed } = await verifier.decide(
        {
          method: 'GET',
          target: '/notes/1',
          headers: [
            ['host', 'api.example'],
            ['authorization', `DPoP ${envelope}`],
            ['dpop', proof],
          ],
          body: new Uint8Array(),
        },
        { action, resource: () => ({ type: 'Note', id: '1', ancestors: [{ type: 'Folder', id: 'plans' }] }) },
      );
      return allowed ? 'allow' : 'deny';
    } catch (error) {
      return (error as { readonly code?: string }).code ?? String(error);
    }
  }
}
