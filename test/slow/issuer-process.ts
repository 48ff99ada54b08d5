import { loadConfig, serveIssuer } from '@bulla/issuer';

/** An issuer in a process of its own, to be killed. Says where it listens on the first line of stdout. */
const running = await serveIssuer(loadConfig(process.argv[2], {}));
process.stdout.write(`${running.url}\n`);
