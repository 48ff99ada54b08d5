import { appendFileSync, chmodSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createVerifier, limits, memoryReplay, type Ports, type Receipt } from '@bulla/verifier';
import { createPublicOrigins } from '@bulla/verifier/envelope';
import { type Alarm, createFollower, type Follower } from '@bulla/verifier/log';
import { CliError } from '../errors.ts';
import { makePrivateFolder } from '../files.ts';
import { holdFolder } from '../home.ts';
import type { GuardConfig, Listen } from './config.ts';
import { createGuardServer } from './server.ts';

/** A guard that listens. */
export interface RunningGuard {
  /** `http://address:port`, or `unix:<path>`. */
  readonly url: string;
  /** Resolves once the log was read to its newest checkpoint; rejects when the follower halts. */
  readonly ready: Promise<void>;
  /** Takes no more questions, answers those under way, ends the follower. */
  close(): Promise<void>;
}

/** What guard takes from its process. `receipt`: one JSON line for stdout. */
export interface GuardSurroundings {
  readonly ports: Ports;
  readonly receipt: (line: string) => void;
  readonly alarm: (alarm: Alarm) => void;
  readonly fault: (error: unknown) => void;
}

const graceMilliseconds = 2000;

/**
 * Follows the log and serves the forms that are switched on. Listens at once and refuses until the log has been read. One guard for
 * a set of public origins: the memory of used proofs is its own, and its state folder admits one process.
 *
 * @throws {CliError} `guard_cannot_listen`, `home_busy`. @throws {Refusal} `lock_missing`, `lock_invalid`.
 */
export async function startGuard(config: GuardConfig, around: GuardSurroundings): Promise<RunningGuard> {
  makePrivateFolder(config.stateFolder);
  const release = holdFolder(config.stateFolder, 'state folder');
  try {
    const follower = followerOf(config, around);
    // Who waits for it hears of a failure; nobody has to.
    follower.ready.catch(() => undefined);
    const server = serverOf(config, follower, around);
    const url = await listen(server, config.listen);
    follower.start();
    return { url, ready: follower.ready, close: () => close(server, follower, release) };
  } catch (error) {
    release();
    throw error;
  }
}

function followerOf(config: GuardConfig, { ports, alarm }: GuardSurroundings): Follower {
  return createFollower({
    account: config.account,
    url: config.issuer,
    readToken: config.readToken,
    lock: config.lockFile,
    directory: config.stateFolder,
    ports,
    onAlarm: alarm,
  });
}

function serverOf(config: GuardConfig, follower: Follower, around: GuardSurroundings): Server {
  const { account, audience, publicOrigins, maxEnvelopeBytes } = config;
  const { trust } = follower;
  const { now } = around.ports;
  const staleness = config.stalenessSeconds ?? limits.defaultStalenessSeconds;
  return createGuardServer({
    ...config,
    verifier: createVerifier({
      account,
      audience,
      publicOrigins,
      maxEnvelopeBytes,
      trust,
      replay: memoryReplay({ processes: 1, startedAt: now() }),
      onReceipt: receiptsOf(config, around),
      ports: { now },
    }),
    origins: createPublicOrigins(publicOrigins),
    ready: () => {
      const age = trust.age(now());
      return age <= staleness ? { size: trust.size, ageSeconds: age } : undefined;
    },
    takeStop: (leaf) => follower.stop(leaf),
    onError: around.fault,
  });
}

/** Written before the caller hears of the decision: what cannot be written is not decided (`receipt_failed`). */
function receiptsOf(
  { receiptsFile }: GuardConfig,
  { receipt }: GuardSurroundings,
): (receipt: Receipt) => void {
  if (receiptsFile === undefined) return (made) => receipt(`${JSON.stringify(made)}\n`);
  return (made) => appendFileSync(receiptsFile, `${JSON.stringify(made)}\n`, { mode: 0o600 });
}

async function listen(server: Server, where: Listen): Promise<string> {
  if ('socket' in where) await removeDeadSocket(where.socket);
  const options = 'socket' in where ? { path: where.socket } : where;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = 'socket' in where ? where.socket : `${where.host}, port ${where.port}`;
      reject(new CliError('guard_cannot_listen', `cannot listen on ${place}: ${error.code ?? error.name}`));
    });
    server.listen(options, resolve);
  });
  if ('socket' in where) {
    // For guard and its group, which the proxy is in.
    chmodSync(where.socket, 0o660);
    return `unix:${where.socket}`;
  }
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** A guard that was killed leaves its socket behind; one that answers is not pushed aside. */
async function removeDeadSocket(file: string): Promise<void> {
  if (statSync(file, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(file, () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
  if (!answers) rmSync(file, { force: true });
}

async function close(server: Server, follower: Follower, release: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMilliseconds);
  await closed;
  clearTimeout(timer);
  await follower.close();
  release();
}
