import {
  createSigner,
  generatePrivateJwk,
  type Ports,
  type PrivateJwk,
  Refusal,
  type Signer,
  systemPorts,
} from '@bulla/verifier';
import { type AuthorizationDetail, bindingOf, parseAuthorizationDetails } from '@bulla/verifier/envelope';
import { AgentError } from './errors.ts';
import type { CredentialSource } from './source.ts';

/** Who an agent is, whom it asks for envelopes, and what for. */
export interface AgentOptions {
  /** Issuer identifier, with the account's path: `https://issuer.example/a/acct_…`. https, or http on loopback. */
  readonly issuer: string;
  /** The agent's id in the trust log, `agt_…`. With a `source` the issuer finds it by the credential. */
  readonly clientId?: string;
  /**
   * A private JWK (Ed25519 or P-256), or whatever can sign with it. Without a `source` this is the agent's key that the log
   * knows. With one it is a holder key that no log knows; absent, one is made in memory and dies with the process.
   */
  readonly key?: PrivateJwk | Signer;
  /** Where to get a credential to exchange (RFC 8693), in place of a logged key. */
  readonly source?: CredentialSource;
  /** Audience or audiences (1 to 8) the envelope is for, as registered in the log. */
  readonly resource: string | readonly string[];
  /**
   * Origins (`https://api.example`) the envelope may be sent to. By default those of the audiences, which must then
   * be http(s) URLs.
   */
  readonly origins?: readonly string[];
  /** What to ask for (RFC 9396). The agent adds it as a narrowing block of its own, so that a mint cannot drop it. */
  readonly authorizationDetails?: readonly AuthorizationDetail[];
  /** Header fields that the API wants bound into each proof, beside `content-type`. */
  readonly bindHeaders?: readonly string[];
  /** Renew when less than this is left of an envelope's life, seconds. Default 30, and never more than half its life. */
  readonly renewBeforeSeconds?: number;
  /** Give an exchange up after this long, seconds. Default 10. */
  readonly exchangeTimeoutSeconds?: number;
  readonly ports?: Ports;
}

/** An agent that was handed an envelope and has no issuer to ask for another. */
export interface HandedOptions {
  /** The envelope, as `delegate` or `narrowEnvelope` made it. Its `exp` ends this agent. */
  readonly envelope: string;
  /** The key that the envelope names last. */
  readonly key: PrivateJwk | Signer;
  /** As in {@link AgentOptions}; by default those of the envelope's audiences. */
  readonly origins?: readonly string[];
  /** As in {@link AgentOptions}. */
  readonly bindHeaders?: readonly string[];
  readonly ports?: Ports;
}

/** What it takes to prove requests. */
export interface ProvingConfig {
  readonly signer: Signer;
  readonly origins: ReadonlySet<string>;
  readonly bindHeaders: readonly string[];
  readonly ports: Ports;
}

export interface AgentConfig extends ProvingConfig {
  readonly issuer: string;
  readonly clientId: string | undefined;
  /** Absent: the signer's key is in the log. */
  readonly credential: { readonly source: CredentialSource; readonly binding: string } | undefined;
  readonly resources: readonly string[];
  readonly details: readonly AuthorizationDetail[];
  readonly renewBeforeSeconds: number;
  readonly exchangeTimeoutSeconds: number;
}

const invalid = (message: string, cause?: unknown): AgentError =>
  new AgentError('config_invalid', message, { cause });

/** @throws {AgentError} `config_invalid`. */
export function readConfig(options: AgentOptions): AgentConfig {
  const issuer = readUrl(options.issuer, 'issuer');
  if (issuer.search !== '' || issuer.hash !== '') throw invalid('`issuer` has a query or fragment');
  if (options.clientId === '') throw invalid('`clientId` is empty');
  if (options.source === undefined && (options.key === undefined || options.clientId === undefined)) {
    throw invalid('neither `source`, nor `key` and `clientId`');
  }
  const resources = typeof options.resource === 'string' ? [options.resource] : [...options.resource];
  if (resources.length === 0 || resources.length > 8)
    throw invalid('`resource` does not name 1 to 8 audiences');
  const proving = readProvingConfig({ ...options, key: options.key ?? generatePrivateJwk() }, resources);
  return {
    issuer: options.issuer,
    clientId: options.clientId,
    credential: options.source && {
      source: options.source,
      binding: bindingOf(accountOf(issuer), proving.signer.publicKey.thumbprint),
    },
    resources,
    ...proving,
    details: requireDetails(options.authorizationDetails ?? []),
    renewBeforeSeconds: readSeconds(options.renewBeforeSeconds ?? 30, 'renewBeforeSeconds'),
    exchangeTimeoutSeconds: readSeconds(options.exchangeTimeoutSeconds ?? 10, 'exchangeTimeoutSeconds'),
  };
}

/** @throws {AgentError} `config_invalid`. */
export function readProvingConfig(
  options: Omit<HandedOptions, 'envelope'>,
  audiences: readonly string[],
): ProvingConfig {
  return {
    signer: readSigner(options.key),
    origins: new Set(readOrigins(options.origins, audiences)),
    bindHeaders: (options.bindHeaders ?? []).map((name) => name.toLowerCase()),
    ports: options.ports ?? systemPorts,
  };
}

/** The account that an issuer identifier ends with (docs/spec/issuer.md section 2). */
function accountOf({ pathname }: URL): string {
  const account = /\/a\/(acct_[A-Za-z0-9_-]{43})$/u.exec(pathname)?.[1];
  if (account !== undefined) return account;
  throw invalid('`issuer` does not end with `/a/<account>`');
}

function readSigner(key: PrivateJwk | Signer): Signer {
  if ('sign' in key) return key;
  try {
    return createSigner(key);
  } catch (cause) {
    throw invalid('`key` is neither a private JWK (Ed25519, P-256) nor a signer', cause);
  }
}

function readOrigins(
  origins: readonly string[] | undefined,
  resources: readonly string[],
): readonly string[] {
  if (origins === undefined) return resources.map((resource) => readUrl(resource, 'resource').origin);
  for (const origin of origins) {
    if (readUrl(origin, 'origins').origin !== origin) throw invalid('`origins` holds more than an origin');
  }
  return origins;
}

/** @throws {AgentError} `config_invalid`. */
export function requireDetails(details: readonly AuthorizationDetail[]): readonly AuthorizationDetail[] {
  if (details.length === 0) return [];
  try {
    return parseAuthorizationDetails(details);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw invalid(`\`authorizationDetails\`: ${error.message}`);
  }
}

function readSeconds(value: number, name: string): number {
  if (!Number.isFinite(value) || value <= 0) throw invalid(`\`${name}\` is not a positive number of seconds`);
  return value;
}

const loopback = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** An http(s) URL to which a secret may be sent. @throws {AgentError} `config_invalid`. */
export function readUrl(text: string, name: string): URL {
  if (!URL.canParse(text)) throw invalid(`\`${name}\` is not a URL`);
  const url = new URL(text);
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && loopback.has(url.hostname));
  if (!safe) throw invalid(`\`${name}\` is neither https nor http on loopback`);
  if (url.username !== '' || url.password !== '') throw invalid(`\`${name}\` carries a password`);
  return url;
}
