import { readFileSync } from 'node:fs';
import path from 'node:path';
import { limits, Refusal } from '@bulla/verifier';
import { parseJsonObject } from '@bulla/verifier/envelope';
import { readLock } from '@bulla/verifier/log';
import { CliError } from '../errors.ts';
import { readPrivateFile } from '../files.ts';
import { Fields, invalid } from './fields.ts';
import { compileTable, type FindRow } from './table.ts';

/** Where guard listens. */
export type Listen = { readonly host: string; readonly port: number } | { readonly socket: string };

/** A checked configuration; docs/spec/guard.md section 2 says what each field does. */
export interface GuardConfig {
  readonly account: string;
  readonly issuer: string;
  readonly audience: string;
  readonly publicOrigins: readonly string[];
  readonly lockFile: string;
  readonly readToken: string;
  readonly stateFolder: string;
  readonly listen: Listen;
  /** A file, or undefined for stdout. */
  readonly receiptsFile: string | undefined;
  readonly stalenessSeconds: number | undefined;
  readonly maxBodyBytes: number;
  readonly maxEnvelopeBytes: number;
  readonly callerSecret: string | undefined;
  readonly nginx: boolean;
  readonly envoy: { readonly pathPrefix: string; readonly maxRequestBytes: number } | undefined;
  readonly authzen: { readonly identifier: string } | undefined;
  readonly find: FindRow;
}

/**
 * Reads guard's configuration, one JSON file; paths in it are relative to its folder. Reads the two secrets as well, which must be
 * for their owner's eyes only (0600), and the lock, which must be of this account.
 *
 * @throws {CliError} `guard_config_invalid` naming the field; `home_exposed` for a secret that others can read.
 */
export function loadGuardConfig(file: string): GuardConfig {
  let fields: Fields;
  try {
    fields = new Fields(parseJsonObject(readFileSync(file)));
  } catch {
    throw new CliError('guard_config_invalid', `\`${file}\` cannot be read, or is not one JSON object`, {
      hint: 'docs/spec/guard.md has an example',
    });
  }
  const folder = path.dirname(path.resolve(file));
  const forms = readForms(fields);
  const callerSecret = readSecret(fields, 'callerSecretFile', folder);
  const stalenessSeconds = fields.integer('stalenessSeconds', 1, 86_400);
  const receipts = fields.text('receipts');
  const routes = fields.object('routes');
  if (routes === undefined) throw invalid('routes', 'is missing');
  const config: GuardConfig = {
    account: matching(fields, 'account', /^acct_[A-Za-z0-9_-]{43}$/u, 'is not an account id'),
    issuer: url(fields, 'issuer'),
    audience: url(fields, 'audience'),
    publicOrigins: origins(fields),
    lockFile: path.resolve(folder, fields.text('lockFile')),
    readToken: required(readSecret(fields, 'readTokenFile', folder), 'readTokenFile'),
    stateFolder: path.resolve(folder, fields.text('stateFolder')),
    listen: readListen(fields, folder, callerSecret !== undefined),
    receiptsFile: receipts === 'stdout' ? undefined : path.resolve(folder, receipts),
    stalenessSeconds,
    maxBodyBytes: fields.integer('maxBodyBytes', 1, 16_777_216) ?? limits.defaultMaxBodyBytes,
    maxEnvelopeBytes:
      fields.integer('maxEnvelopeBytes', 1, limits.maxRaisedEnvelopeBytes) ?? limits.maxEnvelopeBytes,
    callerSecret,
    ...forms,
    find: compileTable(routes, stalenessSeconds),
  };
  fields.done();
  requireLock(config);
  return config;
}

function requireLock({ lockFile, account }: GuardConfig): void {
  let locked: string;
  try {
    locked = readLock(lockFile).account;
  } catch (error) {
    const fault = error instanceof Refusal ? error.message : 'unknown fault';
    throw invalid('lockFile', `does not name a lock: ${fault}`);
  }
  if (locked !== account) throw invalid('lockFile', 'names a lock of another account');
}

function required(value: string | undefined, field: string): string {
  if (value === undefined) throw invalid(field, 'is missing');
  return value;
}

function matching(fields: Fields, name: string, form: RegExp, fault: string): string {
  const value = fields.text(name);
  if (!form.test(value)) throw invalid(name, fault);
  return value;
}

function url(fields: Fields, name: string): string {
  const value = fields.text(name);
  if (!URL.canParse(value)) throw invalid(name, 'is not a URL');
  return value;
}

function origins(fields: Fields): readonly string[] {
  const list = fields.texts('publicOrigins');
  if (list.length === 0) throw invalid('publicOrigins', 'is missing or empty');
  for (const origin of list) {
    if (!/^https?:/u.test(origin) || !URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw invalid('publicOrigins', 'has an item that is not `scheme://host[:port]`');
    }
  }
  return list;
}

function readSecret(fields: Fields, name: string, folder: string): string | undefined {
  const file = fields.optionalText(name);
  if (file === undefined) return undefined;
  const secret = readPrivateFile(path.resolve(folder, file))?.trim();
  if (secret === undefined) throw invalid(name, 'names a file that is not there');
  if (!/^[\x21-\x7e]{16,512}$/u.test(secret)) {
    throw invalid(name, 'names a file that does not hold one secret of 16 to 512 visible characters');
  }
  return secret;
}

const ugly = 'dangerouslyListenBeyondLoopback';

/** Loopback or a socket. Anything else is plain HTTP on a network, and has to be asked for by an ugly name. */
function readListen(fields: Fields, folder: string, hasSecret: boolean): Listen {
  const beyond = fields.optionalText(ugly);
  const listen = fields.optionalText('listen');
  if ((beyond === undefined) === (listen === undefined)) {
    throw invalid('listen', `is missing, or stands beside \`${ugly}\``);
  }
  if (listen?.startsWith('unix:') === true)
    return { socket: path.resolve(folder, listen.slice('unix:'.length)) };
  const [, host = '', port = ''] =
    /^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):(\d{1,5})$/u.exec(listen ?? beyond ?? '') ?? [];
  const name = listen === undefined ? ugly : 'listen';
  if (host === '' || Number(port) > 65_535) throw invalid(name, 'is not `address:port`');
  if (listen !== undefined && !/^(?:127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/u.test(host)) {
    throw invalid(
      'listen',
      'is neither `unix:<path>` nor an address of the loopback, such as 127.0.0.1:8790',
    );
  }
  if (beyond !== undefined && !hasSecret) throw invalid(ugly, 'needs `callerSecretFile`');
  return { host: host.replaceAll(/[[\]]/gu, ''), port: Number(port) };
}

/** The forms that are switched on; one at least. */
function readForms(fields: Fields): Pick<GuardConfig, 'nginx' | 'envoy' | 'authzen'> {
  const nginx = fields.object('nginx');
  nginx?.done();
  const envoy = readEnvoy(fields.object('envoy'));
  const authzen = readAuthzen(fields.object('authzen'));
  if (nginx === undefined && envoy === undefined && authzen === undefined) {
    throw invalid(
      'nginx',
      'is missing, and `envoy` and `authzen` too: one form at least has to be switched on',
    );
  }
  return { nginx: nginx !== undefined, envoy, authzen };
}

const ownPaths = ['/access/v1/evaluation', '/nginx/auth'];

function readEnvoy(fields: Fields | undefined): GuardConfig['envoy'] {
  if (fields === undefined) return undefined;
  const pathPrefix = fields.optionalText('pathPrefix') ?? '/envoy';
  if (!/^(?:\/[A-Za-z0-9_-]+)+$/u.test(pathPrefix))
    throw invalid('envoy.pathPrefix', 'is not a path like `/envoy`');
  // Guard answers some of them with 200 whatever it decides, which Envoy takes for an allow.
  if (ownPaths.some((own) => own.startsWith(`${pathPrefix}/`)))
    throw invalid('envoy.pathPrefix', 'is the beginning of a path of guard itself');
  const maxRequestBytes = fields.integer('maxRequestBytes', 1, 16_777_216);
  if (maxRequestBytes === undefined) throw invalid('envoy.maxRequestBytes', 'is missing');
  fields.done();
  return { pathPrefix, maxRequestBytes };
}

function readAuthzen(fields: Fields | undefined): GuardConfig['authzen'] {
  if (fields === undefined) return undefined;
  const identifier = fields.text('identifier');
  if (
    !identifier.startsWith('https:') ||
    !URL.canParse(identifier) ||
    new URL(identifier).origin !== identifier
  ) {
    throw invalid('authzen.identifier', 'is not an https origin');
  }
  fields.done();
  return { identifier };
}
