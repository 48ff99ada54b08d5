import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';

type Headers = readonly (readonly [string, string])[];

/**
 * Refuses by the header fields alone what need not be read: content announced as too large, and content of a GET or
 * HEAD, which some servers drop before a handler sees it.
 *
 * @returns the announced length; undefined where the content has to be read to know.
 * @throws {Refusal} `content_too_large`, `content_refused`.
 */
export function announcedLength(
  method: string,
  headers: Headers,
  maxBodyBytes: number | undefined,
): number | undefined {
  let length: number | undefined;
  let streamed = false;
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (lower === 'content-length') length = Number(value);
    else if (lower === 'transfer-encoding') streamed = true;
  }
  if ((method === 'GET' || method === 'HEAD') && (streamed || (length ?? 0) > 0)) {
    throw new Refusal('content_refused', 'method carries no content');
  }
  if (length !== undefined && !(length <= (maxBodyBytes ?? limits.defaultMaxBodyBytes))) {
    throw new Refusal('content_too_large', 'content is too large');
  }
  return streamed ? undefined : length;
}

/** Reads a stream to its end. @throws {Refusal} `content_too_large` as soon as the cap is passed. */
export async function readCapped(
  stream: ReadableStream<Uint8Array> | null,
  maxBodyBytes: number = limits.defaultMaxBodyBytes,
): Promise<Uint8Array<ArrayBuffer>> {
  if (stream === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > maxBodyBytes) {
      await reader.cancel();
      throw new Refusal('content_too_large', 'content is too large');
    }
    chunks.push(value);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}
