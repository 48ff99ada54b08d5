import { createNonces } from '@bulla/verifier';
import { type Context, Hono } from 'hono';
import { type Account, openAccount } from './account.ts';
import { addUsersApiRoutes } from './api/routes.ts';
import type { IssuerConfig } from './config.ts';
import { IssuerRefusal } from './errors.ts';
import { addEventRoutes } from './events/routes.ts';
import { checkHealth } from './health.ts';
import { problemOf, problemResponse } from './http/problem.ts';
import { addActivationRoutes } from './invitations/routes.ts';
import { addKeyRoutes } from './log/key-routes.ts';
import { addLogRoutes } from './log/routes.ts';
import { closeStreams } from './log/stream.ts';
import { addOauthRoutes } from './oauth/routes.ts';
import { addOperatorRoutes } from './operators/routes.ts';
import { type IssuerPorts, systemIssuerPorts, withoutStepsBack } from './ports.ts';
import { addScimRoutes, isScimPath, scimMethods } from './scim/routes.ts';

const methods: ReadonlySet<string> = new Set(['GET', 'POST']);

/** A running issuer without a server: mount `app` wherever Fetch requests come from. */
export interface Issuer {
  readonly app: Hono;
  /** By account id: what the routes work on, for whoever embeds an issuer and needs no route for it. */
  readonly accounts: ReadonlyMap<string, Account>;
  /** Ends streams, waits for what is being written, closes the store. */
  close(): Promise<void>;
}

/**
 * Opens every account of the configuration and begins to sign checkpoints.
 *
 * @throws {ConfigError} for a missing account, an unusable key file.
 * @throws {IssuerRefusal} `store_corrupt`, `store_rolled_back`, `store_unavailable`.
 */
export async function createIssuer(
  config: IssuerConfig,
  surroundings: Partial<IssuerPorts> = {},
): Promise<Issuer> {
  const ports = withoutStepsBack({ ...systemIssuerPorts, ...surroundings });
  const store = ports.openStore(config.database);
  const accounts = new Map<string, Account>();
  try {
    for (const account of config.accounts) {
      accounts.set(account.account, await openAccount(account, config, store, ports));
    }
  } catch (error) {
    await store.close();
    throw error;
  }
  const timer = setInterval(() => {
    for (const { log, invitations } of accounts.values()) {
      void log.tick();
      void invitations?.tick();
    }
  }, config.checkpointSeconds * 1000);
  for (const { events } of accounts.values()) events.start();
  return {
    app: createApp(config, accounts, ports),
    accounts,
    close: async () => {
      clearInterval(timer);
      for (const account of accounts.values()) {
        closeStreams(account);
        await account.events.close();
        await account.invitations?.close();
        await account.log.close();
      }
      await store.close();
    },
  };
}

function createApp(config: IssuerConfig, accounts: ReadonlyMap<string, Account>, ports: IssuerPorts): Hono {
  const app = new Hono();
  const find = (c: Context): Account => {
    const account = accounts.get(c.req.param('account') ?? '');
    if (account === undefined)
      throw new IssuerRefusal('account_unknown', 'this issuer does not host the account');
    return account;
  };
  app.use(async (c, next) => {
    c.header('X-Content-Type-Options', 'nosniff');
    const taken = isScimPath(c.req.path) ? scimMethods : methods;
    if (!taken.has(c.req.method)) throw new IssuerRefusal('method_refused', 'method is not taken');
    await next();
  });
  addOauthRoutes(app, find, createNonces({ now: ports.now }));
  addLogRoutes(app, find, config);
  addKeyRoutes(app, find);
  addUsersApiRoutes(app, find, config.publicUrl);
  addEventRoutes(app, find);
  addActivationRoutes(app, find, ports.now);
  addOperatorRoutes(app, find, ports.now);
  addScimRoutes(app, find);
  app.get('/healthz', async (c) => {
    const health = await checkHealth(accounts.values(), config.maxCheckpointAgeSeconds);
    c.header('Cache-Control', 'no-store');
    return c.json(health, health.healthy ? 200 : 503);
  });
  app.notFound((c) =>
    problemResponse(c, new IssuerRefusal('path_unknown', 'nothing is served at this path')),
  );
  app.onError((error, c) => {
    const { code, status } = problemOf(error);
    // The name of an unforeseen error, never its message: that could hold what was sent.
    if (status >= 500) ports.log({ level: 'error', event: 'request.failed', code, error: error.name });
    return problemResponse(c, error);
  });
  return app;
}
