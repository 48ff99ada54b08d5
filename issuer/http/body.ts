import { parseJsonObject } from '@bulla/verifier/envelope';
import type { Context } from 'hono';
import { IssuerRefusal } from '../errors.ts';

/**
 * Reads a request body up to `maxBytes`, whatever its Content-Length claims. Encoded content is refused: its size
 * before decoding would be the wrong one to cap.
 *
 * @throws {IssuerRefusal} `body_too_large`, `body_invalid`.
 */
export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (encoding !== 'identity') throw new IssuerRefusal('body_invalid', 'content encoding is not taken');
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (request.body !== null) {
    for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): IssuerRefusal {
  return new IssuerRefusal('body_too_large', `body is over ${maxBytes} bytes`);
}

/** @throws {IssuerRefusal} `body_invalid` where the media type is not `expected`. */
export function requireMediaType(request: Request, expected: string): void {
  const type = (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== expected) throw new IssuerRefusal('body_invalid', `content type is not \`${expected}\``);
}

/**
 * The JSON object that a request carries, with no members but these.
 *
 * @throws {IssuerRefusal} `body_too_large`, `body_invalid`; {Refusal} a code of strict JSON parsing.
 */
export async function readJsonBody(
  c: Context,
  maxBytes: number,
  members: readonly string[],
): Promise<Readonly<Record<string, unknown>>> {
  requireMediaType(c.req.raw, 'application/json');
  const body = parseJsonObject(await readBody(c.req.raw, maxBytes));
  if (Object.keys(body).some((member) => !members.includes(member))) {
    throw new IssuerRefusal(
      'body_invalid',
      `body has a member beside ${members.map((name) => `\`${name}\``).join(', ')}`,
    );
  }
  return body;
}

/** @throws {IssuerRefusal} `body_invalid`. */
export function requireText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw new IssuerRefusal('body_invalid', `\`${name}\` is missing`);
  return value;
}
