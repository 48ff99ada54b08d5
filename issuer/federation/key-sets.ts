import { readFile } from 'node:fs/promises';
import { Refusal } from '@bulla/verifier';
import {
  isJsonObject,
  type JsonObject,
  type OutsideKey,
  parseJsonObject,
  parseOutsideJwk,
} from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import type { AccountConfig, FederationConfig } from '../account-config.ts';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import { createDocumentFetch, DocumentError, type FetchDocument } from './fetch-document.ts';

/** One key of a key set. Published by the outside issuer, which makes it no key that counts: the log pins those. */
interface PublishedKey {
  readonly id: string | undefined;
  readonly key: OutsideKey;
}

interface KeySet {
  readonly keys: readonly PublishedKey[];
  readonly fetchedAt: number;
}

interface Source {
  set?: KeySet;
  triedAt?: number;
  failure?: string;
  pending?: Promise<void>;
}

/** What the log lines have told of one federation. */
interface Told {
  readonly set: KeySet;
  /** Its keys that the log does not pin. */
  readonly strange: string;
}

const maxPublishedKeys = 64;
/** A key that its issuer withdrew serves no longer than this, if the issuer can be asked; */
const refreshSeconds = 600;
/** and this, if it cannot. */
const maxAgeSeconds = 3600;

/**
 * Key sets (RFC 7517) of outside issuers, fetched when a token needs them and kept for a while. They only find the key that
 * the log pins by thumbprint: whoever controls what is fetched can withhold a key and cannot add one.
 *
 * A fetch happens at most once in `keySetCooldownSeconds` for each place, whatever tokens arrive: federations with one issuer share
 * what was fetched, so that strangers cause no more of it where there are hundreds.
 */
export class KeySets {
  readonly #ports: IssuerPorts;
  readonly #account: string;
  readonly #cooldownSeconds: number;
  readonly #configured: ReadonlyMap<string, FederationConfig>;
  readonly #sources = new Map<string, Source>();
  readonly #told = new Map<string, Told>();
  readonly #fetchDocument: FetchDocument;

  constructor(config: AccountConfig, ports: IssuerPorts) {
    this.#ports = ports;
    this.#account = config.account;
    this.#cooldownSeconds = config.keySetCooldownSeconds;
    this.#configured = new Map(config.federations.map((federation) => [federation.name, federation]));
    this.#fetchDocument = createDocumentFetch({
      lookup: ports.lookup,
      timeoutSeconds: config.keySetTimeoutSeconds,
    });
  }

  /**
   * Finds the keys that may have signed a token: with this `kid`, or all where it names none; published by the issuer now and
   * pinned in the log.
   *
   * Does NOT verify anything with them.
   *
   * @throws {IssuerRefusal} `key_set_unavailable`; `subject_token_refused` where the issuer publishes no such key;
   *   `federation_keys_changed` where it does and the log does not pin it.
   */
  async find(
    name: string,
    record: FederationRecord,
    keyId: string | undefined,
  ): Promise<readonly OutsideKey[]> {
    const source = this.#source(name, record);
    const fits = ({ id }: PublishedKey): boolean => keyId === undefined || id === undefined || id === keyId;
    const isPinned = ({ key }: PublishedKey): boolean => record.keys.includes(key.thumbprint);
    // A key that is pinned and not here may be new under a `kid` that an old one had.
    const known = this.#usable(source)?.keys.some((key) => fits(key) && isPinned(key)) === true;
    if (!known || this.#isOld(source)) await this.#refresh(name, record, source);
    const set = this.#usable(source);
    if (set === undefined) {
      throw new IssuerRefusal(
        'key_set_unavailable',
        `key set of the outside issuer cannot be had: ${source.failure ?? 'no answer'}`,
      );
    }
    this.#tell(name, record, set);
    const published = set.keys.filter(fits);
    if (published.length === 0) {
      throw new IssuerRefusal('subject_token_refused', 'outside issuer publishes no key of that `kid`');
    }
    const pinned = published.filter(isPinned);
    if (pinned.length === 0) {
      throw new IssuerRefusal(
        'federation_keys_changed',
        `outside issuer signs with a key that the log does not pin: ask an admin to look at federation \`${name}\``,
      );
    }
    return pinned.map(({ key }) => key);
  }

  /** What is known of the place where the keys are. Nothing else is shared: who may be asked, and which keys are read, is part of it. */
  #source(name: string, { issuer, profile }: FederationRecord): Source {
    const { jwksUrl, jwksFile, dangerouslyAllowPrivateAddresses = false } = this.#configured.get(name) ?? {};
    const configured = jwksFile ?? jwksUrl;
    const where = configured === undefined ? { issuer } : { jwksFile, jwksUrl };
    const place = JSON.stringify([where, profile === 'spiffe', dangerouslyAllowPrivateAddresses]);
    const known = this.#sources.get(place) ?? {};
    this.#sources.set(place, known);
    return known;
  }

  #usable({ set }: Source): KeySet | undefined {
    return set !== undefined && this.#ports.now() <= set.fetchedAt + maxAgeSeconds ? set : undefined;
  }

  #isOld({ set }: Source): boolean {
    return set === undefined || this.#ports.now() > set.fetchedAt + refreshSeconds;
  }

  async #refresh(name: string, record: FederationRecord, source: Source): Promise<void> {
    const { triedAt, pending } = source;
    if (pending !== undefined) return pending;
    const now = this.#ports.now();
    if (triedAt !== undefined && now < triedAt + this.#cooldownSeconds) return;
    source.triedAt = now;
    source.pending = this.#fetch(name, record, source).finally(() => {
      delete source.pending;
    });
    await source.pending;
  }

  async #fetch(name: string, record: FederationRecord, source: Source): Promise<void> {
    try {
      const document = await this.#load(name, record);
      source.set = { keys: readKeySet(document, record.profile), fetchedAt: this.#ports.now() };
      delete source.failure;
    } catch (cause) {
      source.failure = failureOf(cause);
      const { failure } = source;
      this.#log({ level: 'warn', event: 'federation.keys_unavailable', federation: name, reason: failure });
    }
  }

  async #load(name: string, record: FederationRecord): Promise<JsonObject> {
    const { jwksUrl, jwksFile, dangerouslyAllowPrivateAddresses = false } = this.#configured.get(name) ?? {};
    const reach = dangerouslyAllowPrivateAddresses ? 'private' : 'public';
    if (jwksFile !== undefined) return parseJsonObject(await readFile(jwksFile));
    const url = jwksUrl ?? (await this.#discover(record, reach));
    return parseJsonObject(await this.#fetchDocument(url, reach));
  }

  /** OpenID Connect Discovery 1.0 section 4. */
  async #discover({ issuer, profile }: FederationRecord, reach: 'public' | 'private'): Promise<string> {
    if (profile === 'spiffe') throw new DocumentError('no `jwksUrl` or `jwksFile` is configured for it');
    const url = `${issuer.replace(/\/$/u, '')}/.well-known/openid-configuration`;
    const document = parseJsonObject(await this.#fetchDocument(url, reach));
    if (document['issuer'] !== issuer) throw new DocumentError('discovery names another issuer');
    if (typeof document['jwks_uri'] !== 'string') throw new DocumentError('discovery names no key set');
    return document['jwks_uri'];
  }

  /** Once for each set of strange keys: an issuer that prepares its next key is told of, and not every ten minutes. */
  #tell(name: string, record: FederationRecord, set: KeySet): void {
    const before = this.#told.get(name);
    if (before?.set === set) return;
    const strange = set.keys
      .map(({ key }) => key.thumbprint)
      .filter((thumbprint) => !record.keys.includes(thumbprint))
      .sort()
      .join(' ');
    if (strange !== '' && strange !== before?.strange) {
      this.#log({ level: 'warn', event: 'federation.keys_changed', federation: name, unpinned: strange });
    }
    this.#told.set(name, { set, strange });
  }

  #log(line: Parameters<IssuerPorts['log']>[0]): void {
    this.#ports.log({ ...line, account: this.#account });
  }
}

/** Fixed phrases: an outside issuer chooses what its answers say, and an error of the file system names a path. */
function failureOf(cause: unknown): string {
  if (cause instanceof DocumentError) return cause.message;
  return cause instanceof Refusal ? 'answer is not a key set' : 'it cannot be read';
}

/**
 * Keys of a kind that nobody here can use are passed over (RFC 7517 section 5); a set that gives one `kid` to two keys, or holds
 * too many, is no set.
 */
function readKeySet({ keys }: JsonObject, profile: FederationRecord['profile']): readonly PublishedKey[] {
  if (!Array.isArray(keys) || keys.length > maxPublishedKeys)
    throw new DocumentError('answer is not a key set');
  const published = keys.flatMap((jwk: unknown): PublishedKey[] => {
    if (!isJsonObject(jwk)) throw new DocumentError('answer is not a key set');
    const { kid, use } = jwk;
    // The X.509 authorities of a SPIFFE bundle sign no JWT-SVID.
    if (profile === 'spiffe' ? use !== 'jwt-svid' : use !== undefined && use !== 'sig') return [];
    const key = parseKey(jwk);
    return key === undefined ? [] : [{ id: typeof kid === 'string' ? kid : undefined, key }];
  });
  const ids = published.flatMap(({ id }) => (id === undefined ? [] : [id]));
  if (new Set(ids).size !== ids.length) throw new DocumentError('key set repeats a `kid`');
  return published;
}

function parseKey(jwk: JsonObject): OutsideKey | undefined {
  try {
    return parseOutsideJwk(jwk);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}
