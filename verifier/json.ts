import { isUtf8 } from 'node:buffer';
import { Refusal } from './errors.ts';
import { limits } from './limits.ts';

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * Parses JSON that may be attacker-controlled: UTF-8, no duplicate member names, every number a safe integer,
 * bounded depth. The caller bounds the size.
 *
 * @throws {Refusal} `json_invalid`.
 */
export function parseJson(bytes: Uint8Array): Json {
  let text: string;
  let value: Json;
  if (!isUtf8(bytes)) throw new Refusal('json_invalid', 'not UTF-8');
  try {
    text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    value = JSON.parse(text) as Json;
  } catch {
    throw new Refusal('json_invalid', 'not JSON');
  }
  // JSON.parse keeps the last of two equal names; then the text holds more colons than the value has members.
  if (countMembers(value, 0) !== countColons(text))
    throw new Refusal('json_invalid', 'duplicate member name');
  return value;
}

/** {@link parseJson}, and the value must be an object. @throws {Refusal} `json_invalid`. */
export function parseJsonObject(bytes: Uint8Array): JsonObject {
  const value = parseJson(bytes);
  if (!isJsonObject(value)) throw new Refusal('json_invalid', 'not a JSON object');
  return value;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function countMembers(value: Json, depth: number): number {
  if (depth > limits.maxJsonDepth) throw new Refusal('json_invalid', 'nested too deeply');
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new Refusal('json_invalid', 'number is not a safe integer');
  }
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) count += countMembers(item, depth + 1);
    return count;
  }
  for (const item of Object.values(value)) count += 1 + countMembers(item, depth + 1);
  return count;
}

function countColons(text: string): number {
  let count = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x5c) index += 1;
    else if (code === 0x22) inString = !inString;
    else if (code === 0x3a && !inString) count += 1;
  }
  return count;
}

/**
 * JSON Canonicalization Scheme (RFC 8785) for the values that {@link parseJson} lets through: safe integers only,
 * so the number rules of section 3.2.2.3 reduce to decimal digits.
 *
 * @throws {Refusal} `json_invalid` for a number that is not a safe integer, a lone surrogate, or a value JSON has no form for.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Refusal('json_invalid', 'number is not a safe integer');
    return String(value);
  }
  if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) throw new Refusal('json_invalid', 'lone surrogate');
    return JSON.stringify(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isJsonObject(value)) throw new Refusal('json_invalid', 'not a JSON value');
  // RFC 8785 section 3.2.3: order by UTF-16 code units, which is what the default sort compares.
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${canonicalJson(key)}:${canonicalJson(value[key])}`);
  return `{${members.join(',')}}`;
}
