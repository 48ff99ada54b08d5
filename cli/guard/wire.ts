import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { GuardRefusal } from './codes.ts';

/** Header fields in order, duplicates kept, names as sent. */
export type Headers = readonly (readonly [name: string, value: string])[];

/** What a form is given: a request to guard itself. */
export interface Asked {
  readonly method: string;
  /** Raw. */
  readonly target: string;
  readonly headers: Headers;
  /** What came, after transfer coding. */
  readonly body: Uint8Array;
}

/** Methods that have a meaning without content: where a proxy shows none, no other is decided. */
export const contentless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE']);

/** As node received them: `request.headers` would drop or join what was sent twice. */
export function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.push([rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '']);
  }
  return headers;
}

export function valuesOf(headers: Headers, name: string): readonly string[] {
  return headers.filter(([field]) => field.toLowerCase() === name).map(([, value]) => value);
}

/** The one value of a field that the proxy sets. @throws {GuardRefusal} `proxy_field_missing` unless it is there exactly once. */
export function proxyField(headers: Headers, name: string): string {
  const [value, ...more] = valuesOf(headers, name);
  if (value !== undefined && more.length === 0) return value;
  throw new GuardRefusal('proxy_field_missing', `\`${name}\` is not there exactly once`);
}

export function without(headers: Headers, names: ReadonlySet<string>): Headers {
  return headers.filter(([name]) => !names.has(name.toLowerCase()));
}

/** The field in which proxies and other callers show the secret that guard was told. */
export const secretField = 'bulla-caller-secret';

/**
 * Compares in constant time. `expected`: undefined where no secret is configured.
 *
 * @throws {GuardRefusal} `caller_not_trusted`.
 */
export function requireCaller(headers: Headers, expected: string | undefined): void {
  if (expected === undefined) return;
  const [given, ...more] = valuesOf(headers, secretField);
  const digest = (text: string): Buffer => hash('sha256', text, 'buffer');
  if (given === undefined || more.length > 0 || !timingSafeEqual(digest(given), digest(expected))) {
    throw new GuardRefusal('caller_not_trusted', `\`${secretField}\` is missing or wrong`);
  }
}

/** Fields that say who a verified request is from: what a client sends under these names must not reach the API. */
export const identityFields = ['bulla-subject', 'bulla-actors', 'bulla-grant'] as const;

/** Values of {@link identityFields}; empty for a public row, so that a proxy that copies them takes the client's away. */
export function identityOf(
  grant:
    | { readonly subject: string; readonly actors: readonly string[]; readonly envelopeId: string }
    | undefined,
): Record<(typeof identityFields)[number], string> {
  return {
    'bulla-subject': grant?.subject ?? '',
    'bulla-actors': grant?.actors.join(', ') ?? '',
    // The mint's word, any text: escaped, where a field could not hold it.
    'bulla-grant': grant === undefined ? '' : asciiJson(grant.envelopeId).slice(1, -1),
  };
}

/** Header fields are ASCII: everything else is escaped, which JSON reads back. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(/[^\x20-\x7e]/gu, (character) => [...utf16(character)].join(''));
}

function utf16(character: string): string[] {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  );
}
