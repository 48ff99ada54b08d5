import { Refusal, type Signer } from '@bulla/verifier';
import type { Read } from '@bulla/verifier/log';
import { z } from 'zod';
import { ConfigError, IssuerRefusal } from '../errors.ts';
import { createRateLimit, type RateLimit } from '../http/rate.ts';
import { loadSigner } from '../secrets.ts';

/** One IdP that provisions over SCIM, as the configuration has it; what each member does is said in its schema below. */
export interface ConnectionConfig {
  readonly name: string;
  readonly delegateKeyFile: string;
  readonly groups: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Record<string, string>>;
  readonly login?: LoginSource | undefined;
  readonly defaultDomain?: string | undefined;
  readonly welcome: boolean;
  readonly perMinute: number;
}

/** Which log-in confirms a person: of IdP `trust` (`login.trust` in the log), naming them as `from` of their resource does. */
interface LoginSource {
  readonly trust: string;
  readonly from: 'externalId' | 'userName';
}

/** A connection that is ready to write. */
export interface Connection {
  /** `connection/<name>`: as which the log names its suspensions. */
  readonly name: string;
  /** Its delegate key, whose lease says what it may do. */
  readonly signer: Signer;
  readonly config: ConnectionConfig;
  /** Of requests, whatever they ask; by what a caller wants told apart. */
  readonly limit: RateLimit;
}

const groupName = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/u);

/** Schema of one connection of the configuration. */
export const connectionSchema: z.ZodType<ConnectionConfig> = z.strictObject({
  name: groupName,
  delegateKeyFile: z.string().min(1),
  groups: z.record(z.string().min(1).max(256), groupName).default({}),
  attributes: z
    .record(z.string().min(1).max(256), z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,62}$/u))
    .default({}),
  login: z
    .strictObject({ trust: z.string().min(1).max(64), from: z.enum(['externalId', 'userName']) })
    .optional(),
  defaultDomain: z
    .string()
    .regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/u)
    .optional(),
  welcome: z.boolean().default(true),
  perMinute: z.int().min(1).default(60_000),
});

/**
 * Reads the key of each connection.
 *
 * @returns by name.
 * @throws {ConfigError} for a name that is there twice, a key that cannot be read or that two connections share.
 */
export function loadConnections(
  configs: readonly ConnectionConfig[],
  now: () => number,
): ReadonlyMap<string, Connection> {
  const connections = new Map<string, Connection>();
  const keys = new Set<string>();
  for (const config of configs) {
    const signer = loadSigner('connections.delegateKeyFile', config.delegateKeyFile);
    // One lease is for one connection's people: with a shared key one IdP could reach the other's.
    if (keys.has(signer.publicKey.thumbprint)) {
      throw new ConfigError('`connections`: two connections have the same delegate key');
    }
    const groups = Object.values(config.groups);
    if (new Set(groups).size !== groups.length) {
      throw new ConfigError('`connections.groups`: two SCIM groups stand for one group of the log');
    }
    if (connections.has(config.name)) throw new ConfigError('`connections`: a name is listed twice');
    keys.add(signer.publicKey.thumbprint);
    const limit = createRateLimit(config.perMinute, now);
    connections.set(config.name, { name: `connection/${config.name}`, signer, config, limit });
  }
  return connections;
}

/**
 * Demands that the connection's lease is in force and for its name. The log asks the same of entries; what only the directory keeps
 * (names, addresses, groups that grant nothing, proposals of agents) has no entry, and must not outlive the lease either.
 *
 * @throws {Refusal} `rule_signer_unknown`, `rule_lease_revoked`, `rule_lease_ended`.
 * @throws {IssuerRefusal} `connection_lease_wrong`: its rows would be about another connection's people.
 */
export function requireOwnLease({ config, signer }: Connection, read: Read, time: number): void {
  const record = read(`delegate/${signer.publicKey.thumbprint}`);
  if (record === undefined) throw new Refusal('rule_signer_unknown', 'connection has no lease');
  const { lease, status } = record;
  if (status !== 'active') throw new Refusal('rule_lease_revoked', 'lease of the connection was revoked');
  if (time >= lease.notAfter) throw new Refusal('rule_lease_ended', 'lease of the connection has ended');
  if (lease.connection !== config.name) {
    throw new IssuerRefusal('connection_lease_wrong', 'lease of this connection is not for its name');
  }
}
