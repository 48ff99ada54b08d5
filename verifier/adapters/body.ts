import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';

type Headers = readonly (readonly [string, string])[];

/** How much content is taken, and for how long it is waited for. */
export interface ContentLimits {
  /** Largest content, bytes. Default `limits.defaultMaxBodyBytes`. */
  readonly maxBodyBytes?: number;
  /** Until the whole content must be here, seconds from the first look. Default `limits.defaultContentSeconds`. */
  readonly contentSeconds?: number;
}

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
    throw tooLarge();
  }
  return streamed ? undefined : length;
}

/** Reads a stream to its end. @throws {Refusal} `content_too_large` as soon as the cap is passed, `content_too_slow`, `content_refused`. */
export async function readCapped(
  stream: ReadableStream<Uint8Array> | null,
  { maxBodyBytes = limits.defaultMaxBodyBytes, contentSeconds }: ContentLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  const gather = async (): Promise<Uint8Array<ArrayBuffer>> => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return join(chunks, size);
      size += value.byteLength;
      if (size > maxBodyBytes) throw tooLarge();
      chunks.push(value);
    }
  };
  try {
    return await inTime(gather(), contentSeconds);
  } catch (error) {
    // Not awaited: a source that does not end may not end its cancellation either.
    reader.cancel().catch(() => undefined);
    throw error;
  }
}

/**
 * Waits for content that something else reads.
 *
 * @throws {Refusal} `content_too_slow`; `content_refused` where the reading fails: the other side went away.
 */
export async function inTime<Content>(
  content: Promise<Content>,
  contentSeconds: number = limits.defaultContentSeconds,
): Promise<Content> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow()), contentSeconds * 1000);
  });
  try {
    return await Promise.race([content, late]);
  } catch (error) {
    throw error instanceof Refusal ? error : endedEarly();
  } finally {
    clearTimeout(timer);
  }
}

/** The parts as one. */
export function join(chunks: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

export const tooLarge = (): Refusal => new Refusal('content_too_large', 'content is too large');
export const tooSlow = (): Refusal => new Refusal('content_too_slow', 'content did not arrive in time');
export const endedEarly = (): Refusal => new Refusal('content_refused', 'content ended early');
