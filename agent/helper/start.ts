import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AgentOptions, HandedOptions } from '../config.ts';
import { AgentError } from '../errors.ts';
import { type AgentParts, createParts } from '../parts.ts';
import type { ProofHeaders } from '../prove.ts';
import { answerJson, answerProblem } from './answer.ts';
import { readBody } from './body.ts';
import { forward } from './forward.ts';
import { type Door, enter } from './gate.ts';
import { hostsOf, readHandle } from './handle.ts';
import { helperLimits } from './limits.ts';
import { delegateTo, proveFor } from './questions.ts';
import { createStepParts, type StepOptions } from './step.ts';

/** Something that must not be shown. `held`: as long as the helper runs; `spent`: a proof, which works once. */
export interface HelperSecret {
  readonly value: string;
  readonly kind: 'held' | 'spent';
}

/** For whom a helper proves, where it listens, and who hears of secrets. */
export interface HelperOptions {
  /**
   * How it comes by envelopes. It proves for the origins of the audiences (`resource`), and there is no option for others: an
   * `origins` of the agent is refused.
   */
  readonly agent: AgentOptions | HandedOptions | StepOptions;
  /** Listen on a Unix socket in a folder of its own (0700) instead of on 127.0.0.1. */
  readonly socket?: boolean;
  /** Largest request content, bytes. Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Hears of everything secret that comes into being, before anybody else can have it. */
  readonly onSecret?: (secret: HelperSecret) => void;
}

/** A helper that listens. Whoever knows `url` can do through it what the envelope permits, until it is closed. */
export interface RunningHelper {
  /** `http://127.0.0.1:<port>/<token>`; with a socket `http://localhost/<token>`. */
  readonly url: string;
  /** Path of the Unix socket. */
  readonly socket: string | undefined;
  /** Origins that it proves for. */
  readonly origins: readonly string[];
  /** Base URL that stands for an API, by the `host` of its URL. undefined for a host that is not among the audiences. */
  handle(host: string): string | undefined;
  /** Gets the first envelope now. @throws {AgentError} as `agent.envelope`. */
  ready(): Promise<void>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/**
 * Starts a helper that proves requests for programs that know nothing of envelopes (docs/spec/helper.md).
 *
 * @throws {AgentError} `config_invalid`, and those of `createAgent`.
 */
export async function startHelper(options: HelperOptions): Promise<RunningHelper> {
  const { agent, onSecret = () => undefined } = options;
  if ('origins' in agent && agent.origins !== undefined) {
    throw new AgentError('config_invalid', 'a helper proves for the origins of its audiences only');
  }
  const parts = watched('helper' in agent ? createStepParts(agent) : createParts(agent), onSecret);
  const hosts = hostsOf(parts.config.origins);
  const token = randomBytes(32).toString('base64url');
  onSecret({ value: token, kind: 'held' });
  const server = createServer({
    requestTimeout: helperLimits.requestSeconds * 1000,
    // Checked by the gate, where it can be answered with a code.
    requireHostHeader: false,
  });
  server.maxConnections = helperLimits.maxConnections;
  const socket = await listen(server, options.socket === true);
  const address = server.address() as AddressInfo | string;
  const host = typeof address === 'string' ? undefined : `127.0.0.1:${address.port}`;
  const url = `http://${host ?? 'localhost'}/${token}`;
  serve(server, { door: { host, token }, parts, hosts, onSecret, maxBodyBytes: options.maxBodyBytes });
  return {
    url,
    socket,
    origins: [...parts.config.origins],
    handle: (name) => (hosts.has(name) ? `${url}/${name}` : undefined),
    ready: async () => {
      await parts.holder.current();
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (socket !== undefined) rmSync(path.dirname(socket), { recursive: true, force: true });
    },
  };
}

/** Tells of each envelope before it is used. */
function watched(parts: AgentParts, onSecret: NonNullable<HelperOptions['onSecret']>): AgentParts {
  const { holder } = parts;
  return {
    ...parts,
    holder: {
      current: async () => {
        const held = await holder.current();
        onSecret({ value: held.text, kind: 'held' });
        return held;
      },
      replace: async (stale) => {
        const held = await holder.replace(stale);
        if (held !== undefined) onSecret({ value: held.text, kind: 'held' });
        return held;
      },
    },
  };
}

async function listen(server: Server, onSocket: boolean): Promise<string | undefined> {
  if (!onSocket) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return undefined;
  }
  const socket = path.join(mkdtempSync(path.join(tmpdir(), 'bulla-')), 'helper.sock');
  server.listen(socket);
  await once(server, 'listening');
  chmodSync(socket, 0o600);
  return socket;
}

interface Serving {
  readonly door: Door;
  readonly parts: AgentParts;
  readonly hosts: ReadonlyMap<string, string>;
  readonly onSecret: NonNullable<HelperOptions['onSecret']>;
  readonly maxBodyBytes: number | undefined;
}

function serve(server: Server, serving: Serving): void {
  server.on('request', (request, response) => {
    answer(serving, request, response)
      .catch((error: unknown) => answerProblem(response, error))
      .catch(() => response.destroy());
  });
  for (const event of ['upgrade', 'connect'] as const) {
    server.on(event, (_request, socket) => {
      socket.end('HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
  }
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { parts, onSecret } = serving;
  const rest = enter(request, serving.door);
  const onProof = ({ dpop }: ProofHeaders): void => onSecret({ value: dpop, kind: 'spent' });
  if (rest === '/prove' || rest === '/delegate') {
    if (request.method !== 'POST') throw new AgentError('helper_request_invalid', 'only POST here');
    const question = await readBody(request, helperLimits.maxQuestionBytes);
    if (rest === '/prove') {
      const proof = await proveFor(parts, question);
      onProof(proof);
      answerJson(response, proof);
    } else {
      const delegated = await delegateTo(parts, question);
      onSecret({ value: delegated.envelope, kind: 'spent' });
      answerJson(response, delegated);
    }
    return;
  }
  const handle = readHandle(rest, serving.hosts);
  const body = await readBody(request, serving.maxBodyBytes ?? helperLimits.maxBodyBytes);
  await forward(parts, handle, request, body, response, onProof);
}
