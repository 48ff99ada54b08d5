import { exchangeHints } from './exchange-hints.ts';

/** How the process ends. Kept small: a script branches on these, a person reads the code in the message. */
export const exitCodes = {
  ok: { exit: 0, meaning: 'done' },
  failed: { exit: 1, meaning: 'failed in a way that no other code describes' },
  usage: { exit: 2, meaning: 'unknown command, or an argument that is missing or malformed' },
  refused: {
    exit: 3,
    meaning: 'refused by a rule, the issuer, or a check that has to be overruled explicitly',
  },
  unconfirmed: {
    exit: 4,
    meaning:
      'the issuer took the entry, but no checkpoint with it was seen in time: assume nothing, look again',
  },
  unreachable: { exit: 5, meaning: 'issuer, API or verifier did not answer' },
  locked: {
    exit: 6,
    meaning: 'a key could not be opened: passphrase missing or wrong, or the file is damaged',
  },
  no: {
    exit: 7,
    meaning: 'the answer is no: a check or test failed, an envelope does not hold, a call was not allowed',
  },
  config: { exit: 78, meaning: 'not set up: configuration or home is missing or malformed' },
  unstartable: { exit: 126, meaning: '`run` and `ci`: the command cannot be started' },
  absent: { exit: 127, meaning: '`run` and `ci`: there is no such command' },
} as const;

/** Every way in which the command line itself fails; codes of the other packages are passed on as they are. */
export const cliCodes = {
  argument_invalid: { exit: 'usage', meaning: 'an argument or option is missing, malformed or unknown' },
  home_missing: {
    exit: 'config',
    meaning: 'BULLA_HOME knows no account: `bulla init` or `bulla admin account add` first',
  },
  home_invalid: { exit: 'config', meaning: 'a file under BULLA_HOME is malformed' },
  home_busy: {
    exit: 'failed',
    meaning: 'another bulla process is using this account under BULLA_HOME, or this state folder',
  },
  home_exposed: { exit: 'config', meaning: 'a key file is open to group or others' },
  account_unknown: { exit: 'config', meaning: 'BULLA_HOME does not know this account' },
  config_missing: { exit: 'config', meaning: 'there is no issuer configuration' },
  guard_config_invalid: {
    exit: 'config',
    meaning: "a field of guard's configuration is missing, unknown or not acceptable",
  },
  guard_cannot_listen: { exit: 'config', meaning: 'guard cannot listen where it is told to' },
  init_missing: {
    exit: 'refused',
    meaning: 'there is no issuer to which `init --another` could add an account',
  },
  init_exists: { exit: 'refused', meaning: 'there is an account already: `init` replaces nothing' },
  key_exists: { exit: 'refused', meaning: 'there is a key of this name already' },
  key_missing: { exit: 'locked', meaning: 'there is no key of this name' },
  key_damaged: { exit: 'locked', meaning: 'the key file is malformed or was altered' },
  passphrase_missing: { exit: 'locked', meaning: 'a passphrase is needed and there is nobody to ask' },
  passphrase_wrong: { exit: 'locked', meaning: 'the passphrase does not open the key' },
  subject_unknown: {
    exit: 'refused',
    meaning: 'the trust log has no such person, agent, group, key, lease or audience',
  },
  key_differs: { exit: 'no', meaning: 'the person has no key in force that is the one given' },
  name_taken: { exit: 'refused', meaning: 'this home calls another person of the account by this name' },
  request_impossible: {
    exit: 'refused',
    meaning: 'this home has no person in the account, or people cannot ask for this at all',
  },
  log_stale: { exit: 'unreachable', meaning: 'the newest checkpoint is too old to sign on' },
  log_unreachable: { exit: 'unreachable', meaning: 'the log could not be followed in time' },
  entry_missing: { exit: 'refused', meaning: 'the log lacks an entry that the issuer had acknowledged' },
  entry_skipped: {
    exit: 'refused',
    meaning: 'the log holds the entry, but it broke a rule and has no effect',
  },
  head_contended: { exit: 'refused', meaning: 'others kept appending first' },
  not_in_checkpoint: { exit: 'unconfirmed', meaning: 'no checkpoint with the entry was seen in time' },
  issuer_refused: { exit: 'refused', meaning: 'the issuer refused' },
  issuer_unreachable: { exit: 'unreachable', meaning: 'the issuer did not answer' },
  key_set_unavailable: {
    exit: 'unreachable',
    meaning: 'the key set of an outside issuer cannot be read or fetched',
  },
  key_set_unusable: {
    exit: 'refused',
    meaning: 'the key set of an outside issuer is malformed, or has no key that can be pinned',
  },
  lint_found: {
    exit: 'refused',
    meaning: 'the policy set has findings; `--accept-lint` publishes it all the same',
  },
  policy_wrong: { exit: 'no', meaning: 'the policy set does not compile, validate or pass its cases' },
  lock_behind: { exit: 'no', meaning: 'the lock is missing, of another log, or too old' },
  token_refused: { exit: 'no', meaning: 'the envelope does not hold against the log' },
  not_confirmed: { exit: 'no', meaning: 'the person who was asked did not confirm' },
  stop_unconfirmed: { exit: 'unconfirmed', meaning: 'a verifier did not confirm the restriction' },
  login_refused: {
    exit: 'refused',
    meaning: 'the log-in at the IdP failed, or its ID token does not hold',
  },
  operator_missing: {
    exit: 'config',
    meaning: 'no operator is logged in here, and no operator token was given',
  },
  login_unreachable: { exit: 'unreachable', meaning: 'the IdP did not answer' },
  invitation_invalid: {
    exit: 'refused',
    meaning: 'the invitation is malformed, or its code is wrong, used or expired',
  },
  reference_invalid: {
    exit: 'config',
    meaning: 'a variable holds `bulla://` in something that is not a reference',
  },
  reference_unknown: {
    exit: 'config',
    meaning: 'a variable refers to a host that is not among the audiences',
  },
  env_file_missing: { exit: 'config', meaning: 'the file of `--env-file` cannot be read' },
  run_config_invalid: {
    exit: 'config',
    meaning: 'the configuration of `run` or `ci` is missing or malformed',
  },
  command_not_found: { exit: 'absent', meaning: 'there is no such command to start' },
  command_not_executable: { exit: 'unstartable', meaning: 'the command is there and cannot be started' },
  unexpected: { exit: 'failed', meaning: 'a fault of this program; BULLA_DEBUG=1 shows where' },
} as const;

export type CliCode = keyof typeof cliCodes;

/** Message: lower case, one line, no period; never a token, key or passphrase. `hint`: what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliCode;
  readonly hint: string | undefined;
  /** Code of whoever said no (issuer, API, rules), where there is one. */
  readonly reason: string | undefined;

  constructor(
    code: CliCode,
    message: string,
    details: { readonly hint?: string; readonly reason?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.reason = details.reason;
  }
}

/** What to print and how to end for anything thrown. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
  readonly hint?: string;
  readonly reason?: string;
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof CliError) {
    const { code, message, hint, reason } = error;
    const { exit } = exitCodes[cliCodes[code].exit];
    return {
      code,
      message,
      exit,
      ...(hint !== undefined && { hint }),
      ...(reason !== undefined && { reason }),
    };
  }
  if (!(error instanceof Error))
    return { code: 'unexpected', message: 'unknown fault', exit: exitCodes.failed.exit };
  const { code } = error as { readonly code?: unknown };
  const { name, message } = error;
  if (typeof code === 'string' && /^(?:Refusal|AgentError|IssuerRefusal)$/u.test(name)) {
    const away = /(?:^|_)(?:unreachable|unavailable)$/u.test(code);
    return { code, message, exit: exitCodes[away ? 'unreachable' : 'refused'].exit, ...reasonOf(error) };
  }
  if (name === 'ConfigError') return { code: 'config_invalid', message, exit: exitCodes.config.exit };
  return { code: 'unexpected', message, exit: exitCodes.failed.exit, hint: 'BULLA_DEBUG=1 shows where' };
}

/** What the issuer's code means for whoever asked it for an envelope. */
function reasonOf(error: Error): Pick<Failure, 'reason' | 'hint'> {
  const { reason } = error as { readonly reason?: unknown };
  if (error.name !== 'AgentError' || typeof reason !== 'string') return {};
  const hint = Object.hasOwn(exchangeHints, reason)
    ? exchangeHints[reason as keyof typeof exchangeHints]
    : undefined;
  return { reason, ...(hint !== undefined && { hint }) };
}
