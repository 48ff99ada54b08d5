import { loadConfig, serveIssuer } from '@bulla/issuer';

/** From the issuer's process to the one that imports. */
export type FromScimServer =
  | { readonly type: 'ready'; readonly url: string }
  /** After a garbage collection, bytes. */
  | { readonly type: 'memory'; readonly heap: number; readonly resident: number };

const issuer = await serveIssuer(loadConfig(process.argv[2], {}), { log: () => undefined });
process.on('message', () => {
  // Twice: the first pass frees what the second one's callbacks let go of.
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  send({ type: 'memory', heap: heapUsed + external, resident: rss });
});
process.once('disconnect', () => process.exit(0));
send({ type: 'ready', url: issuer.url });

function send(message: FromScimServer): void {
  process.send?.(message);
}
