import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IssuerConfig } from '@bulla/issuer';
import type { Signer } from '@bulla/verifier';
import type { Lease } from '@bulla/verifier/log';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { IssuerWorld, type IssuerWorldOptions, newKey } from './issuer.ts';
import { rememberWord } from './leaks.ts';

type UsersApiConfig = NonNullable<IssuerConfig['accounts'][number]['usersApi']>;
type Client = UsersApiConfig['clients'][number];

export const partnerSecret = 'secret-of-the-partner-of-a-test';
export const allScopes = [
  'users:read',
  'profiles:read',
  'users:suspend',
  'users:reactivate',
  'agents:read',
  'agents:suspend',
  'agents:reactivate',
  'keys:revoke',
  'audit:read',
] as const;

/** What the API's lease lists unless told. */
export const apiOperations: readonly string[] = [
  'principal.suspend',
  'principal.resume',
  'agent.suspend',
  'agent.resume',
  'key.revoke',
];

export interface UsersApiOptions extends IssuerWorldOptions {
  readonly clients?: readonly (Partial<Client> & { readonly id: string })[];
  readonly usersApi?: Partial<UsersApiConfig>;
  readonly lease?: Partial<Lease>;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url');

/**
 * An issuer with a Users API and one partner, `partner`, who may do everything. Every answer of a call is held against the
 * OpenAPI document that the same issuer serves.
 */
export class UsersApiWorld {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'bulla-users-api-'));
  readonly key: { readonly signer: Signer };
  world!: IssuerWorld;
  readonly #schemas = new Map<string, ValidateFunction>();
  #ajv: Ajv2020 | undefined;

  private constructor(signer: Signer) {
    this.key = { signer };
  }

  static async create(options: UsersApiOptions = {}): Promise<UsersApiWorld> {
    const { clients = [{ id: 'partner' }], usersApi, lease, ...rest } = options;
    const { jwk, signer } = newKey();
    const api = new UsersApiWorld(signer);
    const delegateKeyFile = join(api.dir, 'users-api.jwk');
    writeFileSync(delegateKeyFile, JSON.stringify(jwk), { mode: 0o600 });
    rememberWord(partnerSecret, 'a secret of a partner');
    const filled = clients.map((client) => ({
      secrets: [{ sha256: sha256(partnerSecret) }],
      scopes: [...allScopes],
      perMinute: 600,
      ...client,
    }));
    api.world = await IssuerWorld.create({
      ...rest,
      account: {
        ...rest.account,
        usersApi: { delegateKeyFile, clients: filled, accessTokenSeconds: 600, auditDays: 400, ...usersApi },
      },
    });
    const { ledger } = api.world;
    ledger.grant({ operations: apiOperations, ...lease }, signer);
    await api.world.appended(ledger.lastLeaf);
    return api;
  }

  async remove(): Promise<void> {
    await this.world.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Appends what an admin did in the ledger, on top of what the issuer wrote. */
  async catchUp(): Promise<void> {
    const { ledger, hosted } = this.world;
    const leaves = await hosted.store.entries(ledger.leaves.length, 1000);
    for (const leaf of leaves) ledger.append(leaf);
    ledger.time = Math.max(ledger.time, Math.floor(this.world.ports.now()));
  }

  async tokenAnswer(
    form: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return this.world.issuer.app.request(`${this.world.base}/api/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...form }).toString(),
    });
  }

  async token(client = 'partner', scope?: string, secret: string = partnerSecret): Promise<string> {
    const response = await this.tokenAnswer({
      client_id: client,
      client_secret: secret,
      ...(scope !== undefined && { scope }),
    });
    const { access_token: token } = (await response.json()) as { access_token?: string };
    if (token === undefined) throw new Error(`no token: ${response.status}`);
    rememberWord(token, 'an access token of the Users API');
    return token;
  }

  /** @param call such as `POST /users/prn_…/suspend?dry_run=true`. */
  async call(
    call: string,
    token: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ApiAnswer> {
    const [method = '', target = ''] = call.split(' ', 2);
    const response = await this.world.issuer.app.request(`${this.world.base}/api/v1${target}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
    });
    const body = (await response.json()) as Record<string, unknown>;
    await this.#requireDocumented(method, target, response.status, body);
    return { status: response.status, headers: response.headers, body };
  }

  async document(): Promise<OpenApi> {
    const response = await this.world.issuer.app.request(`${this.world.base}/api/openapi.json`);
    return (await response.json()) as OpenApi;
  }

  async #requireDocumented(method: string, target: string, status: number, body: unknown): Promise<void> {
    const [path = ''] = target.split('?', 1);
    const schema = await this.#schemaOf(method.toLowerCase(), path, status);
    if (!schema(body)) {
      throw new Error(`${method} ${path}: the answer is not as documented: ${JSON.stringify(schema.errors)}`);
    }
  }

  async #schemaOf(method: string, path: string, status: number): Promise<ValidateFunction> {
    const document = await this.document();
    const template = Object.keys(document.paths).find((each) =>
      new RegExp(`^${each.replaceAll(/\{\w+\}/gu, '[^/]+')}$`, 'u').test(path),
    );
    const pointer =
      status === 200
        ? `#/paths/${escape(template ?? '')}/${method}/responses/200/content/application~1json/schema`
        : '#/components/responses/Problem/content/application~1problem+json/schema';
    const known = this.#schemas.get(pointer);
    if (known !== undefined) return known;
    if (this.#ajv === undefined) {
      this.#ajv = new Ajv2020({ strict: false });
      formats.default(this.#ajv as never);
      this.#ajv.addSchema(document, 'https://users-api.example/openapi.json');
    }
    const schema = this.#ajv.compile({ $ref: `https://users-api.example/openapi.json${pointer}` });
    this.#schemas.set(pointer, schema);
    return schema;
  }
}

function escape(path: string): string {
  return encodeURIComponent(path.replaceAll('~', '~0').replaceAll('/', '~1'));
}

export interface OpenApi {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly operationId: string; readonly security: readonly object[] }>>
    >
  >;
}
