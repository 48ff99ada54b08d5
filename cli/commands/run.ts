import { runWithHelper } from '../child/run-with-helper.ts';
import { readSettings } from '../child/settings.ts';
import type { BullaCommand, Given } from '../command.ts';
import type { Session } from '../session.ts';

export function registerRun(program: BullaCommand): void {
  withHelperOptions(
    program
      .command('run')
      .description('Start a command with a helper that proves its requests, in place of secrets.')
      .argument('<command...>', 'the command and its arguments, after `--`'),
  )
    .option('--key <key>', 'key of the agent in the log; with a source, a holder key that stays')
    .option('--agent <id>', 'the agent; needed with a key of the log')
    .option('--source <kind>', 'github, spiffe-command, spiffe-file, oidc, token-file or helper')
    .option('--token-file <file>', 'token-file, spiffe-file: where the token is kept fresh')
    .option('--token-type <type>', 'token-file: jwt, id_token or access_token (default: jwt)')
    .option('--spiffe-command <line>', 'spiffe-command: words, without a shell; {binding} is the audience')
    .option('--token-endpoint <url>', 'oidc: token endpoint of the identity provider')
    .option('--client-id <id>', 'oidc: client there')
    .option('--client-secret-file <file>', 'oidc: its secret, read again for each token')
    .option('--client-secret-env <name>', 'oidc: variable with its secret; the command does not get it')
    .option('--idp-audience <text>', 'oidc: what Auth0 calls audience')
    .option('--idp-resource <url>', 'oidc: resource (RFC 8707)')
    .option('--idp-scope <scopes>', 'oidc: scope')
    .example('bulla run --config run.json --env-file .env -- node agent.js')
    .run(run);
}

/** Options that `run`, `ci job` and `ci step` have in common. */
export function withHelperOptions(command: BullaCommand): BullaCommand {
  return command
    .option('--config <file>', 'JSON with what the options say (docs/spec/helper.md)')
    .option('--issuer <url>', 'issuer identifier, with /a/<account>')
    .many('--audience <url>', 'API that the command may call; repeat')
    .many('--only-action <id>', 'ask for these actions only; repeat')
    .option('--ask <json>', 'ask for exactly this: authorization_details of type bulla')
    .many('--bind <name>', 'header field that the API wants bound into the proof; repeat')
    .option('--env-file <file>', 'variables for the command; what the environment has stays')
    .many('--secret-env <name>', 'variable that the command must not get, nor show; repeat')
    .option('--socket', 'listen on a Unix socket (BULLA_SOCKET) instead of on 127.0.0.1');
}

async function run(session: Session, given: Given): Promise<number> {
  const { env } = session.surroundings;
  const settings = readSettings(given, env, env['BULLA_HELPER'] === undefined ? undefined : 'helper');
  return runWithHelper(session, settings, given.rest(0));
}
