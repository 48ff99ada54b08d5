import { lookup } from 'node:dns';
import { readFileSync } from 'node:fs';
import { createDocumentFetch, DocumentError } from '@bulla/issuer';
import { Refusal } from '@bulla/verifier';
import {
  isJsonObject,
  type JsonObject,
  type OutsideKey,
  parseJsonObject,
  parseOutsideJwk,
} from '@bulla/verifier/envelope';
import { CliError } from './errors.ts';
import { isThumbprint } from './subjects.ts';

/** What an outside issuer publishes: the keys that can be pinned, and how many others stand beside them. */
export interface PublishedKeys {
  /** File or URL that they came from. */
  readonly source: string;
  readonly keys: readonly OutsideKey[];
  /** Keys of other kinds or for other purposes. */
  readonly skipped: number;
}

const timeoutSeconds = 10;
const fetchDocument = createDocumentFetch({ lookup, timeoutSeconds });

/**
 * Loads a JWKS (RFC 7517) or the JWT keys of a SPIFFE bundle: from a file, or over https (http from this machine only)
 * with a timeout, a cap on size and no redirects.
 *
 * Does NOT say that the keys are the outside issuer's: whoever pins them must compare.
 *
 * @throws {CliError} `key_set_unavailable`, `key_set_unusable`.
 */
export async function loadKeySet(
  source: string,
  reach: 'public' | 'private' = 'private',
): Promise<PublishedKeys> {
  const { keys } = await load(source, reach);
  if (!Array.isArray(keys)) throw unusable(source, 'is not a key set');
  const usable = (keys as readonly unknown[]).flatMap(readKey);
  const unique = new Map(usable.map((key) => [key.thumbprint, key]));
  if (unique.size === 0) throw unusable(source, 'holds no key that tokens can be verified with');
  return { source, keys: [...unique.values()], skipped: keys.length - usable.length };
}

/**
 * Finds the key set of an OpenID issuer by its discovery document, which must be by that very issuer, and loads it.
 *
 * @throws {CliError} `key_set_unavailable`, `key_set_unusable`.
 */
export async function discoverKeySet(issuer: string): Promise<PublishedKeys> {
  const source = `${issuer.replace(/\/$/u, '')}/.well-known/openid-configuration`;
  const { issuer: named, jwks_uri: uri } = await load(source, 'private');
  if (named !== issuer) throw unusable(source, 'is by another issuer');
  if (typeof uri !== 'string' || !/^https?:\/\//u.test(uri) || !URL.canParse(uri))
    throw unusable(source, 'names no key set');
  // The address is the other side's choice: it may not lead into the admin's own network, unless the issuer is there.
  return loadKeySet(uri, new URL(uri).host === new URL(issuer).host ? 'private' : 'public');
}

/**
 * The thumbprints to pin: those wanted, or all that were published. Ascending.
 *
 * @throws {CliError} `key_set_unusable` for one that was not published.
 */
export function pinnedKeys(wanted: readonly string[], { keys, source }: PublishedKeys): readonly string[] {
  const published = keys.map(({ thumbprint }) => thumbprint).sort();
  if (wanted.length === 0) return published;
  const missing = wanted.find((thumbprint) => !isThumbprint(thumbprint) || !published.includes(thumbprint));
  if (missing !== undefined) {
    throw new CliError('key_set_unusable', `\`${source}\` has no key with a thumbprint that is to be pinned`);
  }
  return [...new Set(wanted)].sort();
}

function readKey(value: unknown): OutsideKey[] {
  try {
    return [parseOutsideJwk(value)];
  } catch (error) {
    if (error instanceof Refusal) return [];
    throw error;
  }
}

async function load(source: string, reach: 'public' | 'private'): Promise<JsonObject> {
  const bytes = /^https?:\/\//u.test(source) ? await fetched(source, reach) : readFile(source);
  try {
    const value = parseJsonObject(bytes);
    if (isJsonObject(value)) return value;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  throw unusable(source, 'is not strict JSON');
}

async function fetched(source: string, reach: 'public' | 'private'): Promise<Uint8Array> {
  try {
    return await fetchDocument(source, reach);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    throw new CliError('key_set_unavailable', `\`${source}\` was not taken: ${error.message}`, {
      hint: 'fetch the key set on a machine that reaches it, compare it, and name the file',
    });
  }
}

function readFile(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    throw new CliError('key_set_unavailable', `\`${file}\` cannot be read`);
  }
}

function unusable(source: string, problem: string): CliError {
  return new CliError('key_set_unusable', `\`${source}\` ${problem}`);
}
