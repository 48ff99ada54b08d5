import { readFile } from 'node:fs/promises';
import { Refusal } from '@bulla/verifier';
import {
  isJsonObject,
  type JsonObject,
  type OutsideKey,
  parseJsonObject,
  parseOutsideJwk,
} from '@bulla/verifier/envelope';
import { DocumentError, type FetchDocument } from './fetch-document.ts';

/** One key of a key set. Whoever publishes it says that it is theirs; whether that counts is asked elsewhere. */
export interface PublishedKey {
  readonly id: string | undefined;
  readonly key: OutsideKey;
}

export interface KeySet {
  readonly keys: readonly PublishedKey[];
  /** Unix seconds. */
  readonly fetchedAt: number;
}

/** Where a key set is: a file, an address, or what the issuer's own metadata names. */
export interface KeyPlace {
  readonly issuer: string;
  readonly jwksUrl?: string | undefined;
  readonly jwksFile?: string | undefined;
  /** Which metadata names the key set, and which `use` a key has: `spiffe` has no metadata. */
  readonly kind: 'openid' | 'ssf' | 'spiffe';
  readonly dangerouslyAllowPrivateAddresses: boolean;
}

export interface KeySourceOptions {
  readonly fetchDocument: FetchDocument;
  readonly now: () => number;
  /** Least time between two fetches, whatever tokens arrive. */
  readonly cooldownSeconds: number;
}

const maxPublishedKeys = 64;
/** A key that its issuer withdrew serves no longer than this, if the issuer can be asked; */
const refreshSeconds = 600;
/** and this, if it cannot. */
const maxAgeSeconds = 3600;

/** The key set (RFC 7517) of one outside issuer, fetched when it is needed and kept for a while. */
export class KeySource {
  readonly #place: KeyPlace;
  readonly #options: KeySourceOptions;
  #set: KeySet | undefined;
  #triedAt: number | undefined;
  #failure: string | undefined;
  #pending: Promise<void> | undefined;

  constructor(place: KeyPlace, options: KeySourceOptions) {
    this.#place = place;
    this.#options = options;
  }

  /** What is known, if it is not too old to be used at all. */
  get usable(): KeySet | undefined {
    const set = this.#set;
    return set !== undefined && this.#options.now() <= set.fetchedAt + maxAgeSeconds ? set : undefined;
  }

  /** Whether it is time to ask again. */
  get isOld(): boolean {
    return this.#set === undefined || this.#options.now() > this.#set.fetchedAt + refreshSeconds;
  }

  /** Why the last fetch gave nothing, in a fixed phrase. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Fetches once, if the cool-down is over; those who come meanwhile wait for the same answer. Never throws. */
  async refresh(onFailure: (reason: string) => void): Promise<void> {
    if (this.#pending !== undefined) return this.#pending;
    const now = this.#options.now();
    if (this.#triedAt !== undefined && now < this.#triedAt + this.#options.cooldownSeconds) return;
    this.#triedAt = now;
    this.#pending = this.#fetch(onFailure).finally(() => {
      this.#pending = undefined;
    });
    await this.#pending;
  }

  async #fetch(onFailure: (reason: string) => void): Promise<void> {
    try {
      const document = await this.#load();
      this.#set = { keys: readKeySet(document, this.#place.kind), fetchedAt: this.#options.now() };
      this.#failure = undefined;
    } catch (cause) {
      this.#failure = failureOf(cause);
      onFailure(this.#failure);
    }
  }

  async #load(): Promise<JsonObject> {
    const { jwksUrl, jwksFile, dangerouslyAllowPrivateAddresses } = this.#place;
    const reach = dangerouslyAllowPrivateAddresses ? 'private' : 'public';
    if (jwksFile !== undefined) return parseJsonObject(await readFile(jwksFile));
    const url = jwksUrl ?? (await this.#discover(reach));
    return parseJsonObject(await this.#options.fetchDocument(url, reach));
  }

  async #discover(reach: 'public' | 'private'): Promise<string> {
    const { issuer } = this.#place;
    const document = parseJsonObject(await this.#options.fetchDocument(metadataOf(this.#place), reach));
    if (document['issuer'] !== issuer) throw new DocumentError('discovery names another issuer');
    if (typeof document['jwks_uri'] !== 'string') throw new DocumentError('discovery names no key set');
    return document['jwks_uri'];
  }
}

function metadataOf({ issuer, kind }: KeyPlace): string {
  if (kind === 'spiffe') throw new DocumentError('no `jwksUrl` or `jwksFile` is configured for it');
  // OpenID Connect Discovery 1.0 section 4: after the path of the issuer.
  if (kind === 'openid') return `${issuer.replace(/\/$/u, '')}/.well-known/openid-configuration`;
  // Shared Signals Framework 1.0 section 7.2: between host and path, as RFC 8414 has it.
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/ssf-configuration${pathname === '/' ? '' : pathname}`;
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
function readKeySet({ keys }: JsonObject, kind: KeyPlace['kind']): readonly PublishedKey[] {
  if (!Array.isArray(keys) || keys.length > maxPublishedKeys)
    throw new DocumentError('answer is not a key set');
  const published = keys.flatMap((jwk: unknown): PublishedKey[] => {
    if (!isJsonObject(jwk)) throw new DocumentError('answer is not a key set');
    const { kid, use } = jwk;
    // The X.509 authorities of a SPIFFE bundle sign no JWT-SVID.
    if (kind === 'spiffe' ? use !== 'jwt-svid' : use !== undefined && use !== 'sig') return [];
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
