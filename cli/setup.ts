import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createIssuer, type IssuerPorts, initAccount, parseConfig } from '@bulla/issuer';
import { createSigner, generatePrivateJwk, limits, type PrivateJwk, type Signer } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import { CliError } from './errors.ts';
import { createPrivateFile, isPresent, makePrivateFolder, writePrivateFile } from './files.ts';
import { createGenesis } from './genesis.ts';
import { grantLease } from './leases.ts';
import { Ledger } from './ledger.ts';

export interface SetupOptions {
  /** Folder for the issuer: configuration, database, service keys. Must hold no configuration yet, unless `another`. */
  readonly folder: string;
  /** Adds the account to the issuer that is in `folder`, beside those that it hosts; its keys get a folder of their own. */
  readonly another?: boolean;
  /** Origin under which clients will reach the issuer. */
  readonly issuerUrl: string;
  readonly admins: readonly Signer[];
  readonly threshold?: number;
  /** Audiences that the first mint key may mint for. */
  readonly audiences?: readonly string[];
  /** How long the first leases last, seconds. Default 24 h. */
  readonly leaseSeconds?: number;
  /** Folder for the ledger's copy of the log, given the account's id. */
  readonly ledgerFolder: (account: string) => string;
  /** Unix seconds. */
  readonly now: () => number;
  /** Where the issuer's own log lines go. */
  readonly log?: IssuerPorts['log'];
}

/** A new account with an issuer ready to be served. */
export interface Setup {
  readonly account: string;
  readonly configFile: string;
  readonly issuerUrl: string;
  /** Reads the log and posts entries; the issuer keeps only its hash. */
  readonly readToken: string;
  /** Thumbprints of the service keys. */
  readonly keys: { readonly log: string; readonly mint: string; readonly delegate: string };
}

/**
 * Makes an account and an issuer for it: log, mint and delegate keys (files of mode 0600 that the service reads), genesis,
 * database, configuration, and the first leases, which are signed like every later change: on a followed head, done
 * when seen in a checkpoint.
 *
 * @throws {CliError} `init_exists`, `init_missing`, and what `Ledger.append` throws.
 */
export async function setUp(options: SetupOptions): Promise<Setup> {
  const folder = path.resolve(options.folder);
  const configFile = path.join(folder, 'issuer.json');
  const existing = options.another === true ? readIssuer(configFile) : undefined;
  if (existing === undefined && existsSync(configFile)) {
    throw new CliError('init_exists', `there is an issuer in \`${folder}\` already`, {
      hint: 'serve it with `bulla serve`, or add an account to it with `--another`',
    });
  }
  const issuerUrl = existing?.publicUrl ?? options.issuerUrl;
  const keyFolder =
    existing === undefined ? folder : path.join(folder, `account-${existing.accounts.length + 1}`);
  makePrivateFolder(keyFolder);
  const [log, mint, delegate] = [generatePrivateJwk(), generatePrivateJwk(), generatePrivateJwk()];
  const { account, leaves } = createGenesis({
    origin: `${new URL(issuerUrl).host}/${randomBytes(8).toString('hex')}`,
    logKey: createSigner(log),
    admins: options.admins,
    now: options.now(),
    ...(options.threshold !== undefined && { threshold: options.threshold }),
  });
  const readToken = encodeBase64url(randomBytes(32));
  const accountConfig = {
    account,
    logKeyFile: keep(keyFolder, 'log.jwk', log),
    mintKeyFile: keep(keyFolder, 'mint.jwk', mint),
    delegateKeyFile: keep(keyFolder, 'delegate.jwk', delegate),
    readTokens: [{ name: 'admin', sha256: createHash('sha256').update(readToken).digest('base64url') }],
  };
  const issuer = existing ?? {
    publicUrl: issuerUrl,
    database: path.join(folder, 'issuer.db'),
    port: portOf(issuerUrl),
    accounts: [],
  };
  const config = { ...issuer, accounts: [accountConfig] };
  await initAccount(config.database, leaves[0] ?? '');
  await lend(options, { config, account, readToken }, [createSigner(mint), createSigner(delegate)]);
  const whole = `${JSON.stringify({ ...issuer, accounts: [...issuer.accounts, accountConfig] }, null, 2)}\n`;
  if (existing === undefined) createPrivateFile(configFile, whole);
  else writePrivateFile(configFile, whole);
  const [logKey, mintKey, delegateKey] = [log, mint, delegate].map(
    (jwk) => createSigner(jwk).publicKey.thumbprint,
  );
  return {
    account,
    configFile,
    issuerUrl,
    readToken,
    keys: { log: logKey ?? '', mint: mintKey ?? '', delegate: delegateKey ?? '' },
  };
}

/** Appends the first leases through an issuer that runs in this process and listens nowhere. */
async function lend(
  options: SetupOptions,
  {
    config,
    account,
    readToken,
  }: {
    readonly config: { readonly publicUrl: string };
    readonly account: string;
    readonly readToken: string;
  },
  [mint, delegate]: readonly Signer[],
): Promise<void> {
  const { now, log = () => undefined, leaseSeconds: seconds = limits.defaultLeaseSeconds } = options;
  const issuer = await createIssuer(parseConfig(config), { now, randomBytes, log });
  try {
    const ledger = await Ledger.open({
      account,
      url: config.publicUrl,
      readToken,
      folder: options.ledgerFolder(account),
      admins: options.admins,
      ports: {
        now,
        fetch: async (input, init) =>
          issuer.app.request(input instanceof Request ? input : String(input), init),
      },
    });
    try {
      if (mint !== undefined) {
        await grantLease(ledger, mint, {
          operations: ['capability.mint'],
          audiences: options.audiences ?? [],
          seconds,
        });
      }
      if (delegate !== undefined)
        await grantLease(ledger, delegate, { operations: ['request.relay'], seconds });
    } finally {
      await ledger.close();
    }
  } finally {
    await issuer.close();
  }
}

/** An issuer's configuration as its file has it, as far as `init` needs to know it. */
interface WrittenIssuer {
  readonly publicUrl: string;
  readonly database: string;
  readonly accounts: readonly object[];
}

function readIssuer(configFile: string): WrittenIssuer {
  const text = existsSync(configFile) ? readFileSync(configFile, 'utf8') : undefined;
  try {
    const value = JSON.parse(text ?? '') as WrittenIssuer;
    parseConfig(value);
    return value;
  } catch {
    throw new CliError('init_missing', `\`${configFile}\` is not the configuration of an issuer`, {
      hint: 'leave `--another` out to make a first account',
    });
  }
}

function keep(folder: string, name: string, privateJwk: PrivateJwk): string {
  const file = path.join(folder, name);
  try {
    createPrivateFile(file, `${JSON.stringify(privateJwk)}\n`);
  } catch (error) {
    if (!isPresent(error)) throw error;
    throw new CliError('init_exists', `there are keys of an issuer in \`${folder}\` already`, {
      hint: 'choose another folder, or remove what an interrupted `bulla init` left there',
    });
  }
  return file;
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 8787 : 80;
}
