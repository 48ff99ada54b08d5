import type { AddressInfo } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';
import { createIssuer } from './app.ts';
import type { IssuerConfig } from './config.ts';
import { ConfigError } from './errors.ts';
import { type IssuerPorts, systemIssuerPorts } from './ports.ts';

export interface RunningIssuer {
  /** Where it listens, which need not be where clients reach it (`publicUrl`). */
  readonly url: string;
  /** Stops taking requests, ends streams, waits for what is under way. */
  close(): Promise<void>;
}

const graceMilliseconds = 2000;

/**
 * Serves an issuer over HTTP. TLS is for a reverse proxy.
 *
 * @throws as {@link createIssuer}; {@link ConfigError} when the address cannot be listened on.
 */
export async function serveIssuer(
  config: IssuerConfig,
  surroundings: Partial<IssuerPorts> = {},
): Promise<RunningIssuer> {
  const { log } = { ...systemIssuerPorts, ...surroundings };
  const issuer = await createIssuer(config, surroundings);
  let server: ServerType;
  let address: AddressInfo;
  try {
    ({ server, address } = await listen(issuer.app.fetch, config));
  } catch (error) {
    await issuer.close();
    throw error;
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  const url = `http://${host}:${address.port}`;
  log({ level: 'info', event: 'issuer.started', url, accounts: config.accounts.length });
  return {
    url,
    close: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await issuer.close();
      const timer = setTimeout(
        () => 'closeAllConnections' in server && server.closeAllConnections(),
        graceMilliseconds,
      );
      if ('closeIdleConnections' in server) server.closeIdleConnections();
      await closed;
      clearTimeout(timer);
      log({ level: 'info', event: 'issuer.stopped', url });
    },
  };
}

async function listen(
  fetch: Parameters<typeof serve>[0]['fetch'],
  { host, port }: IssuerConfig,
): Promise<{ server: ServerType; address: AddressInfo }> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, hostname: host, port }, (address) => resolve({ server, address }));
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new ConfigError(`cannot listen on ${host}, port ${port}: ${error.code ?? error.name}`)),
    );
  });
}
