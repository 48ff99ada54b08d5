import type { LookupAddress } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isLoopbackAddress, isPublicAddress } from './addresses.ts';

/** Resolves a name, as `dns.lookup` with `all`. */
export type Lookup = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

export interface DocumentFetchOptions {
  readonly lookup: Lookup;
  /** From the first packet to the last byte. */
  readonly timeoutSeconds: number;
}

/** Why a document was not taken: a fixed phrase, nothing that the other side sent. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
}

/** JSON to send, by POST. */
interface DocumentPost {
  /** Value of the `Authorization` field; never logged. */
  readonly authorization: string;
  readonly json: string;
}

/**
 * Fetches one small document of an outside issuer.
 *
 * @param reach `public`: https to addresses of the public Internet only. `private`: https anywhere, and http to this machine.
 * @param post what to send; absent: GET.
 * @param signal gives up early.
 * @throws {DocumentError}
 */
export type FetchDocument = (
  url: string,
  reach: 'public' | 'private',
  post?: DocumentPost,
  signal?: AbortSignal,
) => Promise<Buffer>;

const maxDocumentBytes = 262_144;

/**
 * The addresses are judged where the connection is made, so a name that resolves to something else the second time
 * gains nothing. A redirect is an answer like any other that is not 200: refused. No cookies, no credentials, no
 * compression, a connection of its own for each document.
 */
export function createDocumentFetch({ lookup, timeoutSeconds }: DocumentFetchOptions): FetchDocument {
  return async (text, reach, post, signal) => {
    const url = parseUrl(text, reach);
    const allowed = (address: string): boolean =>
      url.protocol === 'http:' ? isLoopbackAddress(address) : reach === 'private' || isPublicAddress(address);
    const host = url.hostname.replaceAll(/^\[|\]$/gu, '');
    // Sockets do not look an address up, they take it as it is.
    if (isIP(host) !== 0 && !allowed(host)) throw new DocumentError('address is not allowed');
    const timeout = AbortSignal.timeout(timeoutSeconds * 1000);
    const ended = signal === undefined ? timeout : AbortSignal.any([timeout, signal]);
    return ask(url, guardedLookup(lookup, allowed), ended, post);
  };
}

function parseUrl(text: string, reach: 'public' | 'private'): URL {
  if (!URL.canParse(text)) throw new DocumentError('address is not a URL');
  const url = new URL(text);
  const protocols = reach === 'private' ? ['https:', 'http:'] : ['https:'];
  if (!protocols.includes(url.protocol)) throw new DocumentError('address is not https');
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw new DocumentError('address has credentials or a fragment');
  }
  return url;
}

function guardedLookup(lookup: Lookup, allowed: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) {
        callback(error ?? new DocumentError('name does not resolve'), '', 0);
      } else if (addresses.some(({ address }) => !allowed(address))) {
        callback(new DocumentError('address is not allowed'), '', 0);
      } else if (options.all === true) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

async function ask(
  url: URL,
  lookup: LookupFunction,
  signal: AbortSignal,
  post: DocumentPost | undefined,
): Promise<Buffer> {
  const request = url.protocol === 'http:' ? requestHttp : requestHttps;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      if (cause instanceof DocumentError) reject(cause);
      else reject(new DocumentError(signal.aborted ? 'no answer in time' : 'no connection', { cause }));
    };
    const headers = {
      accept: 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'bulla',
      ...(post !== undefined && {
        authorization: post.authorization,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(post.json),
      }),
    };
    const method = post === undefined ? 'GET' : 'POST';
    const outgoing = request(url, { agent: false, lookup, signal, headers, method }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('error', fail);
      const refusal = refusalOf(response.statusCode, response.headers['content-encoding']);
      if (refusal !== undefined) {
        outgoing.destroy(new DocumentError(refusal));
        return;
      }
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxDocumentBytes) outgoing.destroy(new DocumentError('answer is too large'));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve(Buffer.concat(chunks)));
      // After `end` this changes nothing; without it, a connection that breaks off would leave us waiting.
      response.on('close', () => fail(new DocumentError('answer broke off')));
    });
    outgoing.on('error', fail);
    outgoing.end(post?.json);
  });
}

function refusalOf(status: number | undefined, encoding: string | undefined): string | undefined {
  if (status === undefined || status !== 200) {
    return status !== undefined && status >= 300 && status < 400
      ? 'redirects are not followed'
      : 'answer is not 200';
  }
  return encoding === undefined || encoding === 'identity' ? undefined : 'answer is compressed';
}
