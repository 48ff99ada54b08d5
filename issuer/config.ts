import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type AccountConfig, accountFields, accountSchema } from './account-config.ts';
import { ConfigError } from './errors.ts';

export type { AccountConfig } from './account-config.ts';

/** A checked configuration; what each field does is said once, in its schema below and in docs/operations.md. */
export interface IssuerConfig {
  readonly publicUrl: string;
  readonly database: string;
  readonly host: string;
  readonly port: number;
  readonly checkpointSeconds: number;
  readonly maxCheckpointAgeSeconds: number;
  readonly maxEntryBodyBytes: number;
  readonly maxStreamStallSeconds: number;
  readonly maxStreams: number;
  readonly accounts: readonly AccountConfig[];
}

/** Assertions and envelopes travel in the open over http. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

const config = z.strictObject({
  publicUrl: z
    .url({ protocol: /^https?$/u })
    .refine((value) => URL.canParse(value) && new URL(value).origin === value, 'is not an origin')
    .refine((value) => URL.canParse(value) && isSafe(new URL(value)), 'is not https, nor on this machine')
    .describe(
      'Origin under which clients reach the issuer, such as `https://issuer.example`. The issuer identifier of an account is this and `/a/<account>`; never taken from a request.',
    ),
  database: z
    .string()
    .min(1)
    .describe(
      'Path of the libsql database file. The log in it is the truth: back it up, and never restore an older copy.',
    ),
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on. The default is reachable from this machine only.'),
  port: z.int().min(0).max(65_535).default(8787).describe('TCP port to listen on. 0: any free port.'),
  checkpointSeconds: z
    .number()
    .min(0.05)
    .max(30)
    .default(2)
    .describe(
      'How often the newest checkpoint is signed anew, seconds. It is the age of the trust state that verifiers see: longer makes them refuse sooner.',
    ),
  maxCheckpointAgeSeconds: z
    .number()
    .min(1)
    .max(3600)
    .default(15)
    .describe('`/healthz` fails when the newest checkpoint is older, seconds.'),
  maxEntryBodyBytes: z
    .int()
    .min(1024)
    .max(16_777_216)
    .default(4_194_304)
    .describe('Largest body of `POST entries`, bytes; a policy set travels in it.'),
  maxStreamStallSeconds: z
    .number()
    .min(1)
    .default(30)
    .describe('A reader of the stream that takes nothing for so long is disconnected, seconds.'),
  maxStreams: z
    .int()
    .min(0)
    .default(1000)
    .describe('Open streams per account; above it the answer is 429 and readers poll.'),
  accounts: z.array(accountSchema).min(1).describe('The accounts that this issuer hosts, one or more.'),
});

/**
 * Checks a configuration and fills in the defaults. Does NOT read key files and does not touch the database.
 *
 * @throws {ConfigError} naming the first field that is missing, unknown or out of range; never quoting a value.
 */
export function parseConfig(value: unknown): IssuerConfig {
  const parsed = config.safeParse(value);
  if (!parsed.success) throw new ConfigError(describeIssue(parsed.error.issues[0]));
  const ids = parsed.data.accounts.map((entry) => entry.account);
  if (new Set(ids).size !== ids.length) throw new ConfigError('`accounts`: an account is listed twice');
  for (const [index, { federations, eventStreams }] of parsed.data.accounts.entries()) {
    for (const [field, named] of Object.entries({ federations, eventStreams })) {
      if (new Set(named.map(({ name }) => name)).size !== named.length) {
        throw new ConfigError(`\`accounts.${index}.${field}\`: a name is listed twice`);
      }
    }
  }
  return parsed.data;
}

function describeIssue(issue: z.core.$ZodIssue | undefined): string {
  const path = (issue?.path ?? []).map(String).join('.');
  if (issue?.code === 'unrecognized_keys') {
    return `unknown field${path === '' ? '' : ` in \`${path}\``}: ${issue.keys.map((key) => `\`${key}\``).join(', ')}`;
  }
  if (issue?.code === 'invalid_type' && issue.input === undefined) {
    const variable = environmentNames.get(path);
    return `\`${path}\` is missing${variable === undefined ? '' : ` (also settable as ${variable})`}`;
  }
  return `\`${path === '' ? 'configuration' : path}\` is not acceptable: ${issue?.message.toLowerCase() ?? 'unknown reason'}`;
}

const fieldNames = Object.keys(config.shape);
/** Field -> environment variable: `publicUrl` -> `BULLA_PUBLIC_URL`. */
const environmentNames: ReadonlyMap<string, string> = new Map(
  fieldNames.map((name) => [name, `BULLA_${name.replaceAll(/[A-Z]/gu, '_$&').toUpperCase()}`]),
);

/**
 * Reads the configuration from a JSON file, from the environment, or from both; the environment wins. `accounts` in the
 * environment (`BULLA_ACCOUNTS`) is JSON.
 *
 * @throws {ConfigError} naming the file or the field.
 */
export function loadConfig(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): IssuerConfig {
  const value: Record<string, unknown> = file === undefined ? {} : readConfigFile(file);
  for (const [name, variable] of environmentNames) {
    const text = env[variable];
    if (text !== undefined) value[name] = readVariable(name, variable, text);
  }
  return parseConfig(value);
}

function readConfigFile(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new ConfigError(`configuration file \`${file}\` cannot be read`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Falls through: the parser's message would quote the file.
  }
  throw new ConfigError(`configuration file \`${file}\` is not a JSON object`);
}

function readVariable(name: string, variable: string, text: string): unknown {
  const isText = ['publicUrl', 'database', 'host'].includes(name);
  if (isText) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ConfigError(`${variable} is not ${name === 'accounts' ? 'JSON' : 'a number'}`);
  }
}

/** One documented field, for the table in docs/operations.md. */
export interface ConfigField {
  readonly field: string;
  readonly variable: string | null;
  /** Absent where the field is required. */
  readonly fallback?: string;
  readonly meaning: string;
}

/** Every field with its default and what it does, in order. */
export function describeConfig(): readonly ConfigField[] {
  return [...fieldsOf(config.shape, ''), ...fieldsOf(accountFields, 'accounts[].')];
}

function fieldsOf(shape: Readonly<Record<string, z.ZodType>>, prefix: string): ConfigField[] {
  return Object.entries(shape).map(([name, field]) => {
    const fallback = field.safeParse(undefined);
    return {
      field: `${prefix}${name}`,
      variable: prefix === '' ? (environmentNames.get(name) ?? null) : null,
      ...(fallback.success && {
        fallback: fallback.data === undefined ? 'none' : JSON.stringify(fallback.data),
      }),
      meaning: field.description ?? '',
    };
  });
}
