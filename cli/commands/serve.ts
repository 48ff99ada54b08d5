import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { loadConfig, serveIssuer, systemIssuerPorts } from '@bulla/issuer';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Session } from '../session.ts';

const defaultConfig = '.bulla/issuer.json';

export function registerServe(program: BullaCommand): void {
  program
    .command('serve')
    .description('Run the issuer until it is told to stop (SIGINT, SIGTERM).')
    .option('--config <file>', `its configuration (default: BULLA_CONFIG, or ${defaultConfig})`)
    .example('bulla serve --config .bulla/issuer.json')
    .run(serve);
}

async function serve({ output, surroundings }: Session, given: Given): Promise<void> {
  const { env, stopped } = surroundings;
  const file = given.text('config') ?? env['BULLA_CONFIG'] ?? defaultConfig;
  const fromEnvironment = env['BULLA_ACCOUNTS'] !== undefined;
  if (!existsSync(file) && !fromEnvironment) {
    throw new CliError('config_missing', `there is no issuer configuration at \`${file}\``, {
      hint: 'make an account and an issuer with `bulla init` (in a checkout: `npx bulla init`), then serve again',
    });
  }
  const issuer = await serveIssuer(loadConfig(existsSync(file) ? file : undefined, env), systemIssuerPorts);
  output.result({ url: issuer.url }, [`issuer listens on ${issuer.url}`]);
  if (!stopped.aborted) await once(stopped, 'abort');
  await issuer.close();
}
