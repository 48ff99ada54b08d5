import type { AddressInfo } from 'node:net';
import { createProof } from '@bulla/verifier/envelope';
import type { HttpOptions } from '@bulla/verifier/fetch';
import { afterEach } from 'vitest';
import {
  createProofWorld,
  envelope,
  now,
  type ProofWorld,
  type ProofWorldOptions,
} from '../../kit/deciding.ts';
import { type RawAnswer, sendRaw } from '../../kit/raw-http.ts';
import type { Adapter } from './shops.ts';

/** What is proven beside method and target. */
interface Proven {
  readonly body?: string;
  readonly type?: string;
  readonly nonce?: string;
  readonly bound?: Readonly<Record<string, string>>;
}

/** A shop on a real socket. */
export interface Shop {
  readonly host: string;
  readonly origin: string;
  readonly world: ProofWorld;
  readonly server: Awaited<ReturnType<Adapter['open']>>['server'];
  /** The handlers that ran. */
  readonly ran: string[];
  /** Header lines of a request that alice proves. */
  readonly proven: (method: string, target: string, more?: Proven) => string[];
  readonly send: (lines: readonly string[], content?: string) => Promise<RawAnswer>;
}

const open: (() => void)[] = [];

afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** Opens a shop on a free port, with a verifier that checks proofs for real. It is closed after the test. */
export async function openShop(
  adapter: Adapter,
  options: HttpOptions = {},
  more: ProofWorldOptions = {},
): Promise<Shop> {
  const ran: string[] = [];
  let world: ProofWorld | undefined;
  // The port is known after listening; the verifier is asked only when a request arrives.
  const ready = (): ProofWorld['verifier'] => {
    if (world === undefined) throw new Error('not listening yet');
    return world.verifier;
  };
  const verifier: ProofWorld['verifier'] = {
    decide: (...request) => ready().decide(...request),
    get nonces() {
      return ready().nonces;
    },
  };
  const { server, close } = await adapter.open({ verifier, options, ran: (name) => ran.push(name) });
  open.push(close);
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const origin = `http://${host}`;
  world = createProofWorld({ origins: [origin], ...more });
  const { alice } = world;
  const proven: Shop['proven'] = (method, target, { body = '', type, nonce, bound } = {}) => {
    const headers = { ...(type !== undefined && { 'content-type': type }), ...bound };
    const url = `${origin}${options.publicPathPrefix ?? ''}${target}`;
    const proof = createProof({
      method,
      url,
      body,
      headers,
      envelope,
      now,
      signer: alice,
      ...(nonce !== undefined && { nonce }),
    });
    return [
      `${method} ${target} HTTP/1.1`,
      `Host: ${host}`,
      `Authorization: DPoP ${envelope}`,
      `DPoP: ${proof}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
  };
  return {
    host,
    origin,
    world,
    server,
    ran,
    proven,
    send: (lines, content) => sendRaw(host, lines, content),
  };
}
