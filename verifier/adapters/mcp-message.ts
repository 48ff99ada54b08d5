import { Refusal } from '../errors.ts';
import { isJsonObject, type JsonObject, parseForeignJsonObject } from '../json.ts';
import { requirePlainNames } from './member-names.ts';

/** One JSON-RPC 2.0 message of a client, read once: what the row sees is what the transport gets. */
export type McpMessage =
  | {
      readonly kind: 'call';
      readonly method: string;
      /** Absent in a notification. */
      readonly id: string | number | undefined;
      readonly params: JsonObject;
      readonly whole: JsonObject;
    }
  | { readonly kind: 'answer'; readonly whole: JsonObject };

const callMembers = new Set(['jsonrpc', 'id', 'method', 'params']);
const answerMembers = new Set(['jsonrpc', 'id', 'result', 'error']);

/**
 * Reads the content of a POST as exactly one JSON-RPC message: no batch, no member said twice, none that JSON-RPC does not
 * know, `params` an object. Whole numbers above 2^53 are refused: they would reach policy and tool altered.
 *
 * @throws {Refusal} `route_input_invalid`.
 */
export function readMessage(content: Uint8Array): McpMessage {
  const whole = parse(content);
  if (whole['jsonrpc'] !== '2.0') throw refused('content is not a JSON-RPC message');
  const { id, method } = whole;
  const known = method === undefined ? answerMembers : callMembers;
  if (!Object.keys(whole).every((name) => known.has(name)))
    throw refused('message has members that JSON-RPC does not know');
  if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id)) {
    throw refused('`id` is neither a string nor an integer');
  }
  if (method === undefined) {
    if (id === undefined || (whole['result'] === undefined) === (whole['error'] === undefined)) {
      throw refused('message is neither call nor answer');
    }
    return { kind: 'answer', whole };
  }
  const params = whole['params'] ?? {};
  if (typeof method !== 'string' || !isJsonObject(params))
    throw refused('`method` or `params` has another type');
  return { kind: 'call', method, id: id as string | number | undefined, params, whole };
}

/**
 * The tool and its arguments.
 *
 * @throws {Refusal} `route_input_invalid`: also without an `id`, for nobody would hear whether it was allowed.
 */
export function readToolCall({ id, params }: McpMessage & { readonly kind: 'call' }): {
  readonly tool: string;
  readonly args: JsonObject;
} {
  const { name, arguments: args = {} } = params;
  if (id === undefined || typeof name !== 'string' || !isJsonObject(args)) {
    throw refused('`tools/call` without an id, a name, or arguments by name');
  }
  return { tool: name, args };
}

function parse(content: Uint8Array): JsonObject {
  try {
    const message = parseForeignJsonObject(content);
    requirePlainNames(message, Buffer.from(content).toString());
    return message;
  } catch (cause) {
    // Its own code is about what a capability is made of.
    throw new Refusal('route_input_invalid', 'content is not one JSON object with one reading', { cause });
  }
}

function refused(message: string): Refusal {
  return new Refusal('route_input_invalid', message);
}
