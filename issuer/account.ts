import type { Signer } from '@bulla/verifier';
import { createEngine, type Engine } from '@bulla/verifier/policy';
import { openUsersApi, type UsersApi } from './api/users-api.ts';
import type { AccountConfig, IssuerConfig } from './config.ts';
import { ConfigError, IssuerRefusal } from './errors.ts';
import { EventStreams } from './events/streams.ts';
import { KeySets } from './federation/key-sets.ts';
import { createRateLimit, type RateLimit } from './http/rate.ts';
import { createReaderCheck, type RequireReader } from './http/read-token.ts';
import { Invitations, inviteProvisioned } from './invitations/invitations.ts';
import { createMailTransport } from './invitations/transport.ts';
import { AccountLog } from './log/account-log.ts';
import { Mint } from './mint/mint.ts';
import { type Endpoints, endpointsOf } from './oauth/metadata.ts';
import { type CheckSecret, createSecretCheck } from './oauth/secret.ts';
import { Operators } from './operators/sessions.ts';
import type { IssuerPorts } from './ports.ts';
import { type Connection, loadConnections } from './provisioning/connection.ts';
import { Groups } from './provisioning/groups.ts';
import { People } from './provisioning/people.ts';
import { projectDirectory } from './provisioning/projection.ts';
import { reconcileDirectory } from './provisioning/reconcile.ts';
import { loadSigner } from './secrets.ts';
import type { AccountStore, Store } from './store/store.ts';

/** One hosted account: everything that belongs to it, and nothing that another account shares. */
export interface Account {
  readonly config: AccountConfig;
  readonly endpoints: Endpoints;
  readonly store: AccountStore;
  readonly log: AccountLog;
  readonly mint: Mint;
  readonly engine: Engine;
  readonly keySets: KeySets;
  readonly requireReader: RequireReader;
  readonly checkSecret: CheckSecret;
  readonly limitClient: RateLimit;
  readonly limitAll: RateLimit;
  /** By name. */
  readonly connections: ReadonlyMap<string, Connection>;
  readonly people: People;
  /** Absent: nobody is invited. */
  readonly invitations?: Invitations;
  readonly operators: Operators;
  readonly groups: Groups;
  /** Where the configuration has one. */
  readonly usersApi: UsersApi | undefined;
  readonly events: EventStreams;
  readonly ports: IssuerPorts;
}

/**
 * Opens an account that is in the store already.
 *
 * @throws {ConfigError} when the account is missing or a key file cannot be used.
 * @throws {IssuerRefusal} `store_corrupt`, `store_rolled_back`, `store_unavailable`.
 */
export async function openAccount(
  config: AccountConfig,
  issuer: Pick<IssuerConfig, 'publicUrl'>,
  store: Store,
  ports: IssuerPorts,
): Promise<Account> {
  const keys = loadKeys(config);
  const connections = loadConnections(config.connections, ports.now);
  const accountStore = await openStored(store, config.account);
  const engine = createEngine();
  const log = await AccountLog.open({
    ...keys,
    store: accountStore,
    engine,
    ports,
    project: projectDirectory,
  });
  if (log.checkpointFailure === 'log_key_replaced') {
    throw new ConfigError('`logKeyFile` does not hold the log key of the account');
  }
  await reconcileDirectory({ log, store: accountStore, ports });
  const endpoints = endpointsOf(issuer.publicUrl, config.account);
  const invitations = openInvitations(config, { log, store: accountStore, ports, endpoints });
  return {
    config,
    endpoints,
    store: accountStore,
    log,
    engine,
    mint: new Mint({
      issuer: endpoints.issuer,
      mintKey: keys.mintKey,
      trust: log.trust,
      store: accountStore,
      engine,
      config,
      ports,
    }),
    keySets: new KeySets(config, ports),
    checkSecret: createSecretCheck(config.clientSecrets, ports.now),
    requireReader: createReaderCheck(config.readTokens, log.read, accountStore),
    limitClient: createRateLimit(config.tokensPerClientPerMinute, ports.now),
    limitAll: createRateLimit(config.tokensPerMinute, ports.now),
    connections,
    people: new People({
      log,
      store: accountStore,
      ports,
      ...(invitations !== undefined && { onProvisioned: inviteProvisioned(ports.now) }),
    }),
    ...(invitations !== undefined && { invitations }),
    operators: new Operators(config, accountStore, ports),
    groups: new Groups({ log, store: accountStore, ports }),
    usersApi: config.usersApi && openUsersApi(config.usersApi, ports),
    events: new EventStreams({ config, connections, log, store: accountStore, ports }),
    ports,
  };
}

function openInvitations(
  { invitations: config }: AccountConfig,
  parts: Pick<Account, 'log' | 'store' | 'ports' | 'endpoints'>,
): Invitations | undefined {
  if (config === undefined) return undefined;
  const page = `${parts.endpoints.issuer}/activate`;
  return new Invitations({ ...parts, config, page, transport: createMailTransport(config) });
}

function loadKeys(config: AccountConfig): Record<'logKey' | 'mintKey' | 'delegateKey', Signer> {
  const mintKey = loadSigner('mintKeyFile', config.mintKeyFile);
  const { delegateKeyFile } = config;
  return {
    logKey: loadSigner('logKeyFile', config.logKeyFile),
    mintKey,
    delegateKey: delegateKeyFile === undefined ? mintKey : loadSigner('delegateKeyFile', delegateKeyFile),
  };
}

async function openStored(store: Store, account: string): Promise<AccountStore> {
  try {
    return await store.openAccount(account);
  } catch (cause) {
    if (!(cause instanceof IssuerRefusal) || cause.code !== 'account_missing') throw cause;
    throw new ConfigError(`account \`${account}\` is not in the database: initialise it first`, { cause });
  }
}
