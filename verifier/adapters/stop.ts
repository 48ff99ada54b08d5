import { Refusal } from '../errors.ts';
import { isJsonObject, parseJson } from '../json.ts';
import { limits } from '../limits.ts';
import { readCapped } from './body.ts';

/**
 * Reads `{"leaf": …}` and hands the leaf to the host, which verifies the admins' signatures on it. Needs no envelope.
 *
 * @throws {Refusal} `content_too_large`, `json_invalid`, `route_input_invalid`, and what `accept` throws.
 */
export async function acceptStop(
  stream: ReadableStream<Uint8Array> | null,
  accept: (leaf: string) => void | Promise<void>,
): Promise<void> {
  const value = parseJson(await readCapped(stream, limits.maxLeafBytes + 64));
  const leaf = isJsonObject(value) && Object.keys(value).length === 1 ? value['leaf'] : undefined;
  if (typeof leaf !== 'string') throw new Refusal('route_input_invalid', 'content is not `{"leaf": …}`');
  await accept(leaf);
}
