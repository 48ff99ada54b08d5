import { Refusal } from '../errors.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { limits } from '../limits.ts';
import { type ContentLimits, readCapped } from './body.ts';
import { type ProtectedResource, resourceMetadata, resourceMetadataUrl } from './metadata.ts';
import type { Answer } from './problem.ts';

/** What a guard answers itself. */
export interface OwnPages {
  /** Served at its well-known path and named in every challenge. */
  readonly protectedResource?: ProtectedResource;
  /** Path that takes `POST {"leaf": …}`: an admin-signed restriction, without the issuer. The leaf authenticates itself. */
  readonly stop?: { readonly path: string; readonly accept: (leaf: string) => void | Promise<void> };
}

/**
 * Answers what the guard itself serves, resource metadata and the stop path; undefined for everything else.
 *
 * @throws {Refusal} from the stop path: what `read` throws, `json_invalid`, `route_input_invalid`, and what `accept` throws.
 */
export async function answerOwn(
  method: string,
  path: string,
  { protectedResource, stop }: OwnPages,
  read: (caps: ContentLimits) => Promise<Uint8Array>,
): Promise<Answer | undefined> {
  if (stop !== undefined && method === 'POST' && path === stop.path) {
    await takeLeaf(await read({ maxBodyBytes: maxStopBytes }), stop.accept);
    return { status: 204, headers: {}, body: '' };
  }
  if (protectedResource === undefined || method !== 'GET') return undefined;
  if (path !== resourceMetadataUrl(protectedResource.resource).pathname) return undefined;
  const headers = { 'content-type': 'application/json' };
  return { status: 200, headers, body: resourceMetadata(protectedResource) };
}

const maxStopBytes = limits.maxLeafBytes + 64;

/**
 * Reads `{"leaf": …}` and hands the leaf to the host, which verifies the admins' signatures on it. Needs no envelope.
 *
 * @throws {Refusal} `content_too_large`, `content_too_slow`, `content_refused`, `json_invalid`, `route_input_invalid`, and what `accept` throws.
 */
export async function acceptStop(
  stream: ReadableStream<Uint8Array> | null,
  accept: (leaf: string) => void | Promise<void>,
): Promise<void> {
  await takeLeaf(await readCapped(stream, { maxBodyBytes: maxStopBytes }), accept);
}

async function takeLeaf(content: Uint8Array, accept: (leaf: string) => void | Promise<void>): Promise<void> {
  const value = parseJson(content);
  const leaf = isJsonObject(value) && Object.keys(value).length === 1 ? value['leaf'] : undefined;
  if (typeof leaf !== 'string') throw new Refusal('route_input_invalid', 'content is not `{"leaf": …}`');
  await accept(leaf);
}
