import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WireRequest } from '@bulla/verifier';
import { createPublicOrigins } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { createGuardServer, type GuardConfig, loadGuardConfig } from 'bulla/guard';
import { ApiWorld, audience } from '../kit/api.ts';

const anyEntity = { op: 'All' } as const;

/** Payments of teams: staff may pay up to 100, in euro. */
const paymentsPolicy: PolicySetDocument = {
  version: 1,
  policies: {
    'staff-pay': {
      effect: 'permit',
      principal: { op: 'in', entity: { type: 'Group', id: 'staff' } },
      action: anyEntity,
      resource: anyEntity,
      conditions: [],
      annotations: { reason: 'staff may pay' },
    },
    'no-secrets': {
      effect: 'forbid',
      principal: anyEntity,
      action: anyEntity,
      resource: { op: 'in', entity: { type: 'Folder', id: 'secret' } },
      conditions: [],
      annotations: { reason: 'this folder is closed — völlig' },
    },
    'at-most-100': {
      effect: 'forbid',
      principal: anyEntity,
      action: { op: '==', entity: { type: 'Action', id: 'payment.create' } },
      resource: anyEntity,
      conditions: [
        {
          kind: 'when',
          body: {
            '>': { left: { '.': { left: { Var: 'context' }, attr: 'amount' } }, right: { Value: 100 } },
          },
        },
      ],
      annotations: { reason: 'a payment is worth at most 100' },
    },
  },
  schema: {
    '': {
      entityTypes: {
        User: { memberOfTypes: ['Group'] },
        Group: { memberOfTypes: ['Group'] },
        Folder: {},
        Payment: {
          memberOfTypes: ['Folder'],
          shape: { type: 'Record', attributes: { team: { type: 'EntityOrCommon', name: 'String' } } },
        },
      },
      actions: {
        'payment.read': { appliesTo: { principalTypes: ['User'], resourceTypes: ['Payment'] } },
        'payment.create': {
          appliesTo: {
            principalTypes: ['User'],
            resourceTypes: ['Payment'],
            context: {
              type: 'Record',
              attributes: {
                amount: { type: 'EntityOrCommon', name: 'Long' },
                currency: { type: 'EntityOrCommon', name: 'String' },
              },
            },
          },
        },
      },
    },
  },
};

const payment = (folder: string, id = '{id}') => ({
  type: 'Payment',
  id,
  attributes: { team: 'literal:blue' },
  ancestors: [{ type: 'Folder', id: folder }],
});

/** Where the files are is up to whoever writes them. */
export const guardFields: Readonly<Record<string, unknown>> = {
  account: `acct_${'A'.repeat(43)}`,
  issuer: 'https://issuer.example',
  audience,
  publicOrigins: [audience],
  lockFile: 'bulla.lock',
  readTokenFile: 'read-token',
  stateFolder: 'state',
  listen: '127.0.0.1:0',
  receipts: 'stdout',
  nginx: {},
  envoy: { maxRequestBytes: 4096 },
  authzen: { identifier: 'https://guard.example' },
  routes: {
    'GET /payments/:id': { action: 'payment.read', resource: payment('open') },
    'DELETE /payments/:id': { action: 'payment.read', resource: payment('secret') },
    'POST /payments/:id': {
      action: 'payment.create',
      resource: { ...payment('open'), attributes: { team: 'json:/team' } },
      context: { amount: 'json:/lines/0/amount', currency: 'query:currency' },
    },
    'GET /totals/:year': {
      action: 'payment.create',
      resource: payment('open', '{year}'),
      context: { amount: 'integer:{year}', currency: 'header:x-currency' },
      bindHeaders: ['X-Currency'],
    },
    'GET /healthz': 'public',
    'GET /public/:name': 'public',
  },
};
/** Writes a configuration with its secrets into a folder of its own. */
export function writeGuardConfig(change: Readonly<Record<string, unknown>> = {}): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'bulla-guard-'));
  const secret = { mode: 0o600 };
  writeFileSync(path.join(folder, 'read-token'), 'a-read-token-for-tests\n', secret);
  writeFileSync(path.join(folder, 'secret'), 'a-secret-of-the-proxy\n', secret);
  const { account } = { ...guardFields, ...change };
  writeFileSync(
    path.join(folder, 'bulla.lock'),
    JSON.stringify({ account, size: 1, root: 'A'.repeat(43), time: 1 }),
  );
  const file = path.join(folder, 'guard.json');
  writeFileSync(file, JSON.stringify({ ...guardFields, ...change }));
  return file;
}

export interface GuardAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** `allow`, or the code that guard gave. */
  readonly outcome: string;
}

/** A guard over a ledger in memory, on loopback. */
export class GuardWorld {
  readonly api: ApiWorld = new ApiWorld({ policy: paymentsPolicy });
  readonly config: GuardConfig;
  readonly stopped: string[] = [];
  readonly #folder: string;
  readonly #server: ReturnType<typeof createGuardServer>;
  #port = 0;

  private constructor(change: Readonly<Record<string, unknown>>) {
    const file = writeGuardConfig(change);
    this.#folder = path.dirname(file);
    this.config = loadGuardConfig(file);
    this.#server = createGuardServer({
      ...this.config,
      verifier: this.api.verifier,
      origins: createPublicOrigins([audience]),
      ready: () => (this.api.age < 60 ? { size: this.api.trust.size } : undefined),
      takeStop: async (leaf) => {
        this.stopped.push(leaf);
      },
    });
  }

  static async start(change: Readonly<Record<string, unknown>> = {}): Promise<GuardWorld> {
    const world = new GuardWorld(change);
    world.#server.listen(0, '127.0.0.1');
    await once(world.#server, 'listening');
    world.#port = (world.#server.address() as AddressInfo).port;
    return world;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    rmSync(this.#folder, { recursive: true });
  }

  /** A request that alice's agent proves. */
  proven(options: {
    readonly method?: string;
    readonly url: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  }): WireRequest {
    return this.api.request({ ...options, envelope: this.api.envelope() });
  }

  /** Sends bytes as they are. */
  async send(
    line: string,
    headers: readonly (readonly [string, string])[],
    body: Uint8Array | string = '',
  ): Promise<GuardAnswer> {
    const socket = connect(this.#port, '127.0.0.1');
    const fields = [...headers, ['connection', 'close']].map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${line} HTTP/1.1\r\n${fields.join('')}\r\n`);
    socket.write(body);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    const [head = '', ...rest] = text.split('\r\n\r\n');
    const [status = '', ...lines] = head.split('\r\n');
    const parsed = Object.fromEntries(
      lines.map((field) => [
        field.slice(0, field.indexOf(':')).toLowerCase(),
        field.slice(field.indexOf(':') + 2),
      ]),
    );
    const answered = Number(status.split(' ')[1]);
    const code = parsed['bulla-code'] ?? /"code":"([a-z_]+)"/u.exec(rest.join(''))?.[1];
    return {
      status: answered,
      headers: parsed,
      body: rest.join('\r\n\r\n'),
      outcome: answered < 300 && code === undefined ? 'allow' : (code ?? ''),
    };
  }

  /** As nginx asks, configured as documented; `undefined` leaves a field out. */
  nginx(
    wire: WireRequest,
    change: Readonly<Record<string, string | undefined>> = {},
    more: readonly (readonly [string, string])[] = [],
  ): Promise<GuardAnswer> {
    const fields = {
      'x-original-method': wire.method,
      'x-original-uri': wire.target,
      'x-original-content-length': 'none',
      'x-original-transfer-encoding': 'none',
      ...change,
    };
    const own = Object.entries(fields).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    return this.send('GET /nginx/auth', [...wire.headers, ...own, ...more]);
  }

  /** As Envoy asks with `with_request_body`; `undefined` leaves a field out. */
  envoy(
    wire: WireRequest,
    change: { readonly partial?: string | undefined; readonly body?: string } = {},
    more: readonly (readonly [string, string])[] = [],
  ): Promise<GuardAnswer> {
    const body = change.body ?? wire.body;
    const partial = 'partial' in change ? change.partial : wire.body.length > 0 ? 'false' : undefined;
    const fields = [
      ...wire.headers,
      ['content-length', String(Buffer.byteLength(body))] as const,
      ...(partial === undefined ? [] : [['x-envoy-auth-partial-body', partial] as const]),
      ...more,
    ];
    return this.send(`${wire.method} /envoy${wire.target}`, fields, body);
  }

  /** As an AuthZEN enforcement point asks; the names it gives agree with the request unless changed. */
  async authzen(
    wire: WireRequest | undefined,
    change: Readonly<Record<string, unknown>> = {},
    request: Readonly<Record<string, unknown>> = {},
  ): Promise<GuardAnswer & { readonly json: { decision?: boolean; context?: Record<string, unknown> } }> {
    const body = JSON.stringify({
      subject: { type: 'User', id: this.api.alice.id },
      action: { name: wire?.method === 'POST' ? 'payment.create' : 'payment.read' },
      resource: { type: 'Payment', id: '7' },
      context: {
        time: 1.5,
        ...(wire !== undefined && {
          request: { ...wire, body: Buffer.from(wire.body).toString('base64'), ...request },
        }),
      },
      ...change,
    });
    const answer = await this.send(
      'POST /access/v1/evaluation',
      [
        ['host', 'guard.example'],
        ['content-type', 'application/json'],
        ['content-length', String(Buffer.byteLength(body))],
        ['x-request-id', 'bfe9eb29'],
      ],
      body,
    );
    const json = answer.status === 200 ? (JSON.parse(answer.body) as { decision?: boolean }) : {};
    return { ...answer, json };
  }
}

export const json: Readonly<Record<string, string>> = { 'content-type': 'application/json' };
export const order = (amount: number): string =>
  JSON.stringify({ team: 'blue', lines: [{ amount }], note: 0.5 });
