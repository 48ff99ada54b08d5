import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIssuer, type Issuer, issueScimToken, parseConfig } from '@bulla/issuer';
import { policySetDigest } from '@bulla/verifier/policy';
import Database from 'libsql';
import { notesPolicy } from './api.ts';
import { invitationIn, sinkMails } from './invited.ts';
import { type IssuerWorld, newKey } from './issuer.ts';
import { rememberWord } from './leaks.ts';
import { testDomain } from './log.ts';
import { allScopes as scimScopes } from './scim.ts';
import { sha256, UsersApiWorld } from './users-api.ts';

/** One of several accounts of an issuer, with everything that an issuer offers, and everything that opens it. */
export class Tenant {
  readonly name: string;
  readonly dir: string = mkdtempSync(join(tmpdir(), 'bulla-tenant-'));
  readonly secret: string;
  readonly readToken: string;
  readonly pushAuthorization: string;
  readonly operatorToken: string;
  readonly stream: string;
  api!: UsersApiWorld;
  /** Values of `Authorization`, by what they are. */
  credentials: Readonly<Record<string, string>> = {};
  /** A person of the connection `okta`, and the code of their invitation. */
  person = '';
  code = '';
  envelope = '';
  /** Id of the connection's token. */
  tokenId = '';
  /** Of a policy set that no other tenant has published. */
  digest = '';

  private constructor(name: string) {
    this.name = name;
    this.stream = `${name}-stream`;
    this.secret = word('secret-of-the-partner');
    this.readToken = word('read-token');
    this.operatorToken = word('operator-token');
    this.pushAuthorization = `Bearer ${word('push-secret')}`;
  }

  static async create(name: string, database?: string): Promise<Tenant> {
    const tenant = new Tenant(name);
    tenant.api = await UsersApiWorld.create({
      now: 1_800_000_000,
      connection: {},
      clients: [{ id: 'partner', secrets: [{ sha256: sha256(tenant.secret) }], perMinute: 60_000 }],
      usersApi: { accessTokenSeconds: 3600 },
      account: {
        readTokens: [
          { name: 'tenant', sha256: sha256(tenant.readToken) },
          { name: 'test', sha256: sha256('read-token-of-a-test') },
        ],
        invitations: {
          sinkFolder: join(tenant.dir, 'mails'),
          from: 'bulla@issuer.example',
          lifetimeSeconds: 3600,
          perHour: 100,
        },
        operators: {
          tokens: [{ name: 'ops', sha256: sha256(tenant.operatorToken) }],
          login: { issuer: 'https://idp.example', clientId: 'operators', subjects: ['one'] },
        },
        eventStreams: [tenant.#eventStream()],
      } as never,
      ...(database !== undefined && { config: { database } }),
    });
    return tenant;
  }

  get world(): IssuerWorld {
    return this.api.world;
  }

  /** What people get when they confirm themselves, and operators when they log in: put where the issuer keeps them. */
  #kept(expires: number): Readonly<Record<string, string>> {
    const { config, ledger, alice } = this.world;
    const [own, session] = [word('read-token-of-alice'), word('session-of-an-operator')];
    const database = new Database(config.database);
    const key = alice.signer.publicKey.thumbprint;
    database
      .prepare('INSERT INTO reader (account, sha256, principal, key, created) VALUES (?, ?, ?, ?, 0)')
      .run(ledger.account, sha256(own), alice.id, key);
    database
      .prepare('INSERT INTO operator_session (account, sha256, subject, expires) VALUES (?, ?, ?, ?)')
      .run(ledger.account, sha256(session), 'one', expires);
    database.close();
    return { 'personal read token': `Bearer ${own}`, 'session of an operator': `Bearer ${session}` };
  }

  #eventStream(): object {
    const delegateKeyFile = join(this.dir, 'events.jwk');
    writeFileSync(delegateKeyFile, JSON.stringify(newKey().jwk), { mode: 0o600 });
    return {
      name: this.stream,
      issuer: 'https://idp.example',
      audience: 'https://receiver.example',
      delegateKeyFile,
      delivery: { push: { authorizationSha256: sha256(this.pushAuthorization) } },
    };
  }

  /** Once the issuer runs that hosts it: people, and every credential there is. */
  async moveIn(): Promise<void> {
    const { hosted, okta, ports, agent, ledger } = this.world;
    const { 'no-secrets': closed, ...rest } = notesPolicy.policies;
    if (closed === undefined) throw new Error('there is no such policy');
    const own = { ...notesPolicy, policies: { ...rest, [`closed-at-${this.name}`]: closed } };
    this.digest = ledger.policy('own', policySetDigest(own));
    await this.world.appended(ledger.lastLeaf, [own]);
    const userName = `carol@${testDomain}`;
    const body = { userName, emails: [{ value: userName, primary: true }] };
    const person = await hosted.people.provision(okta, { userName, externalId: 'carol', body });
    this.person = person.id;
    await hosted.invitations?.tick();
    this.code = invitationIn(sinkMails(join(this.dir, 'mails')).at(-1) ?? '').code;
    const notAfter = ports.now() + 86_400;
    const scim = await issueScimToken(
      hosted.store,
      { connection: 'okta', scopes: scimScopes, notAfter },
      ports,
    );
    this.tokenId = scim.listed.id;
    rememberWord(scim.token, 'a token of a connection');
    const minted = (await (await this.world.token({ client: agent })).json()) as { access_token: string };
    this.envelope = minted.access_token;
    this.credentials = {
      'read token': `Bearer ${this.readToken}`,
      'token of an operator': `Bearer ${this.operatorToken}`,
      'token of a connection': `Bearer ${scim.token}`,
      ...this.#kept(notAfter),
      'access token of the Users API': `Bearer ${await this.api.token('partner', undefined, this.secret)}`,
      'authorization of a transmitter': this.pushAuthorization,
      'client secret': `Basic ${Buffer.from(`partner:${this.secret}`).toString('base64')}`,
      envelope: `DPoP ${this.envelope}`,
    };
  }
}

/** Two tenants of one issuer, the second of which opens nothing of the first. */
export interface Neighbours {
  readonly alpha: Tenant;
  readonly beta: Tenant;
  readonly issuer: Issuer;
  close(): Promise<void>;
}

export async function startNeighbours(): Promise<Neighbours> {
  const alpha = await Tenant.create('alpha');
  const beta = await Tenant.create('beta', alpha.world.config.database);
  await alpha.world.issuer.close();
  await beta.world.issuer.close();
  const accounts = [...alpha.world.config.accounts, ...beta.world.config.accounts];
  const issuer = await createIssuer(parseConfig({ ...alpha.world.config, accounts }), alpha.world.ports);
  for (const { world } of [alpha, beta]) world.issuer = issuer;
  await alpha.moveIn();
  await beta.moveIn();
  return {
    alpha,
    beta,
    issuer,
    close: async () => {
      await issuer.close();
      await beta.world.start();
      await beta.api.remove();
      await alpha.world.start();
      await alpha.api.remove();
      for (const { dir } of [alpha, beta]) rmSync(dir, { recursive: true, force: true });
    },
  };
}

function word(kind: string): string {
  const made = `${kind}-${randomBytes(16).toString('hex')}`;
  rememberWord(made, 'a credential of a tenant');
  return made;
}
