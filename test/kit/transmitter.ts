import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Signer } from '@bulla/verifier';
import type { Lease } from '@bulla/verifier/log';
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTHeaderParameters,
  SignJWT,
} from 'jose';
import { IssuerWorld, newKey } from './issuer.ts';
import { newSigner } from './log.ts';

export const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
export const risc = 'https://schemas.openid.net/secevent/risc/event-type/';
export const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/';
export const scimEvent = 'urn:ietf:params:scim:event:';
export const receiver = 'https://receiver.example/events';
const authorization = 'Bearer push-secret-of-the-transmitter-of-a-test';
const pollToken = 'poll-token-of-the-receiver-of-a-test';

type Claims = Readonly<Record<string, unknown>>;

/** What a poll asked and told (RFC 8936). */
interface PollRequest {
  readonly maxEvents?: number;
  readonly returnImmediately?: boolean;
  readonly ack?: readonly string[];
  readonly setErrs?: Readonly<Record<string, { readonly err: string }>>;
}

/** A transmitter of security events on loopback, which signs with jose: metadata, key set, a poll endpoint. */
export class Transmitter {
  readonly issuer: string;
  readonly alg: string;
  readonly thumbprint: string;
  /** What its key set publishes; to be changed at will. */
  keys: readonly JWK[];
  /** Waiting to be polled: `jti` -> SET. What is acknowledged goes. */
  readonly waiting: Map<string, string> = new Map<string, string>();
  readonly polls: PollRequest[] = [];
  /** How many SETs one answer holds. */
  perPoll = 10;
  /** Answers in place of all that. */
  answer: RequestListener | undefined;
  readonly #key: CryptoKey;
  readonly #server: Server;
  #onPoll: (() => void)[] = [];

  private constructor(server: Server, alg: string, key: CryptoKey, jwk: JWK, thumbprint: string) {
    this.#server = server;
    this.issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    this.alg = alg;
    this.#key = key;
    this.keys = [jwk];
    this.thumbprint = thumbprint;
  }

  static async start(alg = 'RS256'): Promise<Transmitter> {
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 't1', use: 'sig', alg };
    let started: Transmitter | undefined;
    const server = createServer((request, response) => {
      if (started !== undefined) void started.#handle(request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    started = new Transmitter(server, alg, privateKey, jwk, await calculateJwkThumbprint(jwk));
    return started;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** A SET of one event, with changes; `undefined` removes a claim or header member. */
  async set(
    type: string,
    subject: Claims,
    change: { readonly payload?: Claims; readonly claims?: Claims; readonly header?: Claims } = {},
  ): Promise<string> {
    const claims = {
      iss: this.issuer,
      aud: receiver,
      jti: randomUUID(),
      iat: Math.floor(Date.now() / 1000),
      txn: randomUUID(),
      sub_id: subject,
      events: { [type]: change.payload ?? {} },
      ...change.claims,
    };
    return this.sign(claims, change.header);
  }

  async sign(claims: Claims, header: Claims = {}, key: CryptoKey | Uint8Array = this.#key): Promise<string> {
    const members = { alg: this.alg, typ: 'secevent+jwt', kid: 't1', ...header };
    return new SignJWT(JSON.parse(JSON.stringify(claims)) as Record<string, unknown>)
      .setProtectedHeader(JSON.parse(JSON.stringify(members)) as JWTHeaderParameters)
      .sign(key);
  }

  /** Lets a SET be polled. */
  offer(set: string, jti: string = jtiOf(set)): string {
    this.waiting.set(jti, set);
    return jti;
  }

  /** Resolves when a poll for which `fits` holds was answered. */
  async until(fits: () => boolean): Promise<void> {
    while (!fits()) await new Promise<void>((resolve) => this.#onPoll.push(resolve));
  }

  async #handle(...[request, response]: Parameters<RequestListener>): Promise<void> {
    if (this.answer !== undefined) {
      this.answer(request, response);
      return;
    }
    response.setHeader('content-type', 'application/json');
    if (request.url === '/poll') {
      response.statusCode = request.headers.authorization === `Bearer ${pollToken}` ? 200 : 401;
      response.end(JSON.stringify(this.#poll(JSON.parse(await bodyOf(request)) as PollRequest)));
      for (const wake of this.#onPoll.splice(0)) wake();
      return;
    }
    const metadata = request.url === '/.well-known/ssf-configuration';
    const keySet = { keys: this.keys };
    response.end(
      JSON.stringify(metadata ? { issuer: this.issuer, jwks_uri: `${this.issuer}/jwks` } : keySet),
    );
  }

  #poll(request: PollRequest): object {
    this.polls.push(request);
    for (const jti of [...(request.ack ?? []), ...Object.keys(request.setErrs ?? {})])
      this.waiting.delete(jti);
    const sets = [...this.waiting].slice(0, Math.min(this.perPoll, request.maxEvents ?? this.perPoll));
    return { sets: Object.fromEntries(sets), moreAvailable: this.waiting.size > sets.length };
  }
}

export function jtiOf(set: string): string {
  const claims = JSON.parse(Buffer.from(set.split('.')[1] ?? '', 'base64url').toString()) as { jti: string };
  return claims.jti;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

type StreamConfig = IssuerWorld['config']['accounts'][number]['eventStreams'][number];

export interface EventWorldOptions {
  readonly stream?: Partial<StreamConfig>;
  readonly poll?: boolean;
  readonly lease?: Partial<Lease>;
  readonly alg?: string;
  /** Unix seconds; default: real time. */
  readonly now?: number;
}

/** The stream `idp`, to which this transmitter pushes. */
export function pushStream(transmitter: Transmitter, delegateKeyFile: string): StreamConfig {
  return {
    name: 'idp',
    issuer: transmitter.issuer,
    audience: receiver,
    dangerouslyAllowPrivateAddresses: true,
    delegateKeyFile,
    delivery: {
      push: { authorizationSha256: createHash('sha256').update(authorization).digest('base64url') },
    },
    subjects: {
      email: ['userName', 'email'],
      iss_sub: ['externalId'],
      opaque: [],
      scim: ['externalId', 'id'],
    },
    map: {},
    maxAgeSeconds: 86_400,
    perMinute: 600,
  };
}

/** What a transmitter sends with each SET. */
export const pushHeaders: Readonly<Record<string, string>> = {
  'content-type': 'application/secevent+jwt',
  authorization,
};

/** An issuer with one stream `idp`, and its transmitter. Alice is in the directory as `alice@corp.example`, `00u-alice`. */
export class EventWorld {
  readonly world: IssuerWorld;
  readonly transmitter: Transmitter;

  private constructor(world: IssuerWorld, transmitter: Transmitter) {
    this.world = world;
    this.transmitter = transmitter;
  }

  static async create(options: EventWorldOptions = {}): Promise<EventWorld> {
    const transmitter = await Transmitter.start(options.alg);
    const delegate = newKey();
    const world = await IssuerWorld.create({
      connection: {},
      ...(options.now !== undefined && { now: options.now }),
    });
    const file = (name: string, text: string): string => {
      const path = join(world.dir, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    const operations = ['principal.suspend', 'principal.resume', 'key.revoke'];
    world.ledger.grant({ operations, maxEntriesPerHour: 1000, ...options.lease }, delegate.signer);
    await world.appended(world.ledger.lastLeaf);
    await world.issuer.close();
    const stream: StreamConfig = {
      ...pushStream(transmitter, file('events.jwk', JSON.stringify(delegate.jwk))),
      ...(options.poll === true && {
        delivery: {
          poll: {
            endpoint: `${transmitter.issuer}/poll`,
            tokenFile: file('poll.token', pollToken),
            intervalSeconds: 0.05,
          },
        },
      }),
      ...options.stream,
    };
    Object.assign(world.config.accounts[0] ?? {}, { eventStreams: [stream], keySetCooldownSeconds: 0 });
    await world.start();
    const events = new EventWorld(world, transmitter);
    await events.#hireAlice();
    return events;
  }

  /** Provisions somebody over the connection `okta`: `<name>@corp.example`, `00u-<name>`. @returns the principal's id. */
  async provision(name: string, emails: readonly string[] = []): Promise<string> {
    const { hosted, okta } = this.world;
    const userName = `${name}@corp.example`;
    const body = { userName, emails: emails.map((value) => ({ value })) };
    const { id } = await hosted.people.provision(okta, { userName, externalId: `00u-${name}`, body });
    return id;
  }

  /** Alice is provisioned, an admin confirms her, and she takes on an agent. */
  async #hireAlice(): Promise<void> {
    const { world } = this;
    const id = await this.provision('alice');
    const signer = newSigner();
    await this.admin({ type: 'principal.activate', principal: id, key: signer.publicKey.jwk }, [signer]);
    world.alice = { id, signer };
    world.agent = world.ledger.agent(world.alice);
    await world.appended(world.ledger.lastLeaf);
  }

  async push(
    set: string,
    change: { readonly stream?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<Response> {
    return this.world.issuer.app.request(`${this.world.base}/events/${change.stream ?? 'idp'}`, {
      method: 'POST',
      headers: { ...pushHeaders, ...change.headers },
      body: set,
    });
  }

  /** Pushes, and answers `202` or the `err` (or the code of a problem) that came back. */
  async pushed(set: string, change: Parameters<EventWorld['push']>[1] = {}): Promise<string> {
    const response = await this.push(set, change);
    if (response.status === 202) return '202';
    const body = (await response.json()) as { readonly err?: string; readonly code?: string };
    return `${String(response.status)} ${body.err ?? body.code ?? ''}`;
  }

  /** As an event names her. */
  get alice(): { readonly format: 'email'; readonly email: string } {
    return { format: 'email', email: 'alice@corp.example' };
  }

  person(id: string = this.world.alice.id): { readonly status: string; readonly epoch: number } | undefined {
    return this.world.hosted.log.read(`principal/${id}`);
  }

  /** What the last log line about a received event says became of it. */
  get outcome(): unknown {
    return this.world.lines.findLast(({ event }) => event === 'security_event.received')?.['outcome'];
  }

  /** An entry by the admin, whatever the issuer appended meanwhile. */
  async admin(
    op: Parameters<IssuerWorld['ledger']['do']>[0],
    cosigners: readonly Signer[] = [],
  ): Promise<void> {
    const { ledger, hosted } = this.world;
    for (const leaf of await hosted.store.entries(ledger.leaves.length, 1000)) ledger.append(leaf);
    ledger.time = Math.max(ledger.time, hosted.log.world.lastTime);
    ledger.do(op, cosigners);
    await this.world.appended(ledger.lastLeaf);
  }

  async close(): Promise<void> {
    await this.world.remove();
    await this.transmitter.close();
  }
}

/** Examples of the specifications, by caption. */
export function vectors(
  file: string,
): readonly { readonly caption: string | null; readonly json?: Claims }[] {
  const folder = process.env['BULLA_VECTORS'] ?? '../shared/vectors';
  const text = readFileSync(join(folder, 'oauth-events/ssf-caep-risc', file), 'utf8');
  return JSON.parse(text) as ReturnType<typeof vectors>;
}
