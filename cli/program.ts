import { BullaCommand } from './command.ts';
import { registerActivate } from './commands/activate.ts';
import { registerAdmin } from './commands/admin.ts';
import { registerApprove } from './commands/approve.ts';
import { registerCall } from './commands/call.ts';
import { registerCi } from './commands/ci.ts';
import { registerDemo } from './commands/demo.ts';
import { registerErase } from './commands/erase.ts';
import { registerGuard } from './commands/guard.ts';
import { registerInit } from './commands/init.ts';
import { registerLog } from './commands/log.ts';
import { registerMe } from './commands/me.ts';
import { registerNarrow } from './commands/narrow.ts';
import { registerOperator } from './commands/operator.ts';
import { registerOwnAgents } from './commands/own-agent.ts';
import { registerOwnKeys } from './commands/own-key.ts';
import { registerPin } from './commands/pin.ts';
import { registerPolicy } from './commands/policy.ts';
import { registerRecovery } from './commands/recovery.ts';
import { registerRestrict } from './commands/restrict.ts';
import { registerRun } from './commands/run.ts';
import { registerScim } from './commands/scim.ts';
import { registerSecret } from './commands/secret.ts';
import { registerServe } from './commands/serve.ts';
import { registerShow } from './commands/show.ts';
import { registerSponsor } from './commands/sponsor.ts';
import { registerStop } from './commands/stop.ts';
import { registerToken } from './commands/token.ts';
import { exitCodes } from './errors.ts';
import { packageVersion } from './surroundings.ts';

/** The whole command tree. `open` makes the session for one command. */
export function createProgram(
  open: BullaCommand['openSession'],
  streams: { readonly stdout: (text: string) => void; readonly stderr: (text: string) => void },
): BullaCommand {
  const program = new BullaCommand('bulla', open)
    .description('Capability envelopes: signed, bound to policy and request, checked by the API itself.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .option('--json', 'print one JSON document instead of text')
    .option('--home <folder>', 'keys and followed logs of this admin (default: BULLA_HOME, or ~/.bulla)')
    .option('--account <id>', 'account to work on (default: the current one of the home)')
    .option('--passphrase-file <file>', 'read the passphrase of keys from this file (or BULLA_PASSPHRASE)')
    .option('--insecure-plaintext-key', 'write new keys without a passphrase')
    .many('--sign-with <key>', 'admin key that signs; repeat where the account demands several')
    .option('--timeout <time>', 'longest wait for the log to confirm, such as 15s', '15s')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeOut: streams.stdout, writeErr: streams.stderr })
    .addHelpText('after', () => `\nExit codes:\n${exitTable()}`);
  program.example('bulla init --issuer-url http://127.0.0.1:8787');
  for (const register of registrations) register(program);
  return program;
}

const registrations: readonly ((program: BullaCommand) => void)[] = [
  registerDemo,
  registerInit,
  registerServe,
  registerGuard,
  registerActivate,
  registerAdmin,
  registerOperator,
  registerMe,
  registerOwnAgents,
  registerOwnKeys,
  registerRecovery,
  registerSponsor,
  registerPolicy,
  registerRestrict,
  registerStop,
  registerPin,
  registerLog,
  registerShow,
  registerNarrow,
  registerToken,
  registerSecret,
  registerScim,
  registerErase,
  registerCall,
  registerApprove,
  registerRun,
  registerCi,
];

function exitTable(): string {
  return Object.values(exitCodes)
    .map(({ exit, meaning }) => `  ${String(exit).padStart(2)}  ${meaning}`)
    .join('\n');
}
