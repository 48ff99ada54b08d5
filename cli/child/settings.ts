import { readFileSync } from 'node:fs';
import { type AuthorizationDetail, isJsonObject, parseAuthorizationDetails } from '@bulla/verifier/envelope';
import type { Given } from '../command.ts';
import { CliError } from '../errors.ts';
import type { Environment } from './references.ts';
import type { SourceSettings } from './source.ts';

/** What `run` and `ci` need to know: a JSON file, options, or both; options win, member by member. */
export interface RunSettings {
  /** Absent inside another helper only. */
  readonly issuer: string | undefined;
  readonly audience: readonly string[];
  readonly agent: string | undefined;
  /** Name or file of a key: logged where there is no source, else a holder key that stays. */
  readonly key: string | undefined;
  /** `helper`: the outer `bulla run`, whose variables are in the environment. */
  readonly source: SourceSettings | { readonly kind: 'helper' } | undefined;
  readonly details: readonly AuthorizationDetail[];
  readonly bindHeaders: readonly string[];
  readonly secretEnv: readonly string[];
  readonly envFile: string | undefined;
  readonly socket: boolean;
  /** For how long something is handed over; inside another helper only. */
  readonly forSeconds: number | undefined;
}

const members = new Set([
  'issuer',
  'audience',
  'agent',
  'key',
  'source',
  'authorizationDetails',
  'bindHeaders',
  'secretEnv',
  'envFile',
  'socket',
]);

const invalid = (message: string): CliError => new CliError('run_config_invalid', message);

/** @param fallback kind of source where neither one nor a key is named. @throws {CliError} `run_config_invalid`, `argument_invalid`. */
export function readSettings(
  given: Given,
  env: Environment,
  fallback: 'github' | 'helper' | undefined,
): RunSettings {
  const file = readConfig(given.text('config'));
  const key = given.text('key') ?? textOf(file, 'key');
  const source = readSource(given, file, key === undefined ? fallback : undefined);
  const outer = source?.kind === 'helper' ? (env['BULLA_AUDIENCE'] ?? '').split(' ') : [];
  const audience = either(given.list('audience'), textsOf(file, 'audience'), outer).filter(
    (each) => each !== '',
  );
  if (source?.kind === 'helper' && (env['BULLA_HELPER'] ?? '') === '') {
    throw invalid('`BULLA_HELPER` is not set: this runs inside no job and no other helper');
  }
  if (audience.length === 0) throw invalid('no `audience`: name the API with --audience');
  if (source === undefined && key === undefined) {
    throw invalid('no `source` and no `key`: say where the credential comes from with --source');
  }
  return {
    issuer: given.text('issuer') ?? textOf(file, 'issuer'),
    audience,
    agent: given.text('agent') ?? textOf(file, 'agent'),
    key,
    source,
    details: readDetails(given, file),
    bindHeaders: either(given.list('bind'), textsOf(file, 'bindHeaders')),
    secretEnv: either(given.list('secretEnv'), textsOf(file, 'secretEnv')),
    envFile: given.text('envFile') ?? textOf(file, 'envFile'),
    socket: given.flag('socket') || file['socket'] === true,
    forSeconds: given.duration('for'),
  };
}

type Document = Readonly<Record<string, unknown>>;

function readConfig(path: string | undefined): Document {
  if (path === undefined) return {};
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw invalid(`\`${path}\` cannot be read as JSON`);
  }
  if (!isJsonObject(document)) throw invalid(`\`${path}\` does not hold an object`);
  const unknown = Object.keys(document).find((name) => !members.has(name));
  if (unknown !== undefined) throw invalid(`unknown member in \`${path}\`; see docs/spec/helper.md`);
  return document;
}

function textOf(document: Document, name: string): string | undefined {
  const value = document[name];
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw invalid(`\`${name}\` is not a text`);
}

function textsOf(document: Document, name: string): readonly string[] {
  const value = document[name] ?? [];
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (texts.every((text) => typeof text === 'string')) return texts;
  throw invalid(`\`${name}\` is not a list of texts`);
}

function either(...lists: readonly (readonly string[])[]): readonly string[] {
  return lists.find((list) => list.length > 0) ?? [];
}

function readDetails(given: Given, file: Document): readonly AuthorizationDetail[] {
  const actions = given.list('onlyAction');
  const ask = given.text('ask');
  if (ask !== undefined && actions.length > 0) {
    throw new CliError('argument_invalid', 'give `--only-action` or `--ask`, not both');
  }
  if (actions.length > 0) return [{ type: 'bulla', actions }];
  let details = file['authorizationDetails'];
  if (ask !== undefined) {
    try {
      details = JSON.parse(ask);
    } catch {
      throw new CliError('argument_invalid', '`--ask` is not JSON');
    }
  }
  if (details === undefined) return [];
  return parseAuthorizationDetails(Array.isArray(details) ? details : [details]);
}

/** Options of a source and the members of `source` in a file that they stand for. */
const sourceOptions = {
  tokenFile: 'file',
  tokenType: 'tokenType',
  tokenEndpoint: 'tokenEndpoint',
  clientId: 'clientId',
  clientSecretFile: 'clientSecretFile',
  clientSecretEnv: 'clientSecretEnv',
  idpAudience: 'audience',
  idpResource: 'resource',
  idpScope: 'scope',
} as const;

function readSource(
  given: Given,
  file: Document,
  fallback: 'github' | 'helper' | undefined,
): RunSettings['source'] {
  const document = file['source'] ?? {};
  if (!isJsonObject(document)) throw invalid('`source` is not an object');
  const kind = given.text('source') ?? textOf(document, 'kind') ?? fallback;
  if (kind === undefined) return undefined;
  const options: Record<string, unknown> = { ...document };
  for (const [option, member] of Object.entries(sourceOptions)) {
    const value = given.text(option);
    if (value !== undefined) options[member] = value;
  }
  const command = given.text('spiffeCommand');
  if (command !== undefined) options['command'] = command.split(/\s+/u).filter((word) => word !== '');
  return sourceOf(kind, options);
}

function sourceOf(kind: string, options: Document): NonNullable<RunSettings['source']> {
  switch (kind) {
    case 'github':
    case 'helper':
      return { kind };
    case 'spiffe-command':
      return { kind, command: textsOf(options, 'command') };
    case 'spiffe-file':
      return { kind, file: needed(options, 'file') };
    case 'token-file':
      return { kind, file: needed(options, 'file'), tokenType: tokenTypeOf(options) };
    case 'oidc':
      return {
        kind,
        tokenEndpoint: needed(options, 'tokenEndpoint'),
        clientId: needed(options, 'clientId'),
        authentication: textOf(options, 'authentication') === 'basic' ? 'basic' : 'post',
        ...optional(options, ['clientSecretFile', 'clientSecretEnv', 'audience', 'resource', 'scope']),
      };
    default:
      throw invalid('`source` is none of github, spiffe-command, spiffe-file, oidc, token-file, helper');
  }
}

function optional<Name extends string>(
  options: Document,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const given: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = textOf(options, name);
    if (value !== undefined) given[name] = value;
  }
  return given;
}

function needed(options: Document, name: string): string {
  const value = textOf(options, name);
  if (value === undefined) throw invalid(`the source lacks \`${name}\``);
  return value;
}

function tokenTypeOf(options: Document): 'jwt' | 'id_token' | 'access_token' {
  const type = textOf(options, 'tokenType') ?? 'jwt';
  if (type === 'jwt' || type === 'id_token' || type === 'access_token') return type;
  throw invalid('`tokenType` is none of jwt, id_token, access_token');
}
