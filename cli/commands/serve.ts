import { once } from 'node:events';
import { serveIssuer, systemIssuerPorts } from '@bulla/issuer';
import type { BullaCommand, Given } from '../command.ts';
import { issuerConfig, withConfig } from '../hosted.ts';
import type { Session } from '../session.ts';

export function registerServe(program: BullaCommand): void {
  withConfig(
    program
      .command('serve')
      .description('Run the issuer until it is told to stop (SIGINT, SIGTERM).')
      .example('bulla serve --config .bulla/issuer.json'),
  ).run(serve);
}

async function serve(session: Session, given: Given): Promise<void> {
  const { output, surroundings } = session;
  const { stopped } = surroundings;
  const issuer = await serveIssuer(issuerConfig(session, given), systemIssuerPorts);
  output.result({ url: issuer.url }, [`issuer listens on ${issuer.url}`]);
  if (!stopped.aborted) await once(stopped, 'abort');
  await issuer.close();
}
