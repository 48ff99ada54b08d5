import { isUtf8 } from 'node:buffer';
import { types } from 'node:util';
import { Refusal } from './errors.ts';
import { limits } from './limits.ts';

/** A JSON value that is not changed by whoever holds it. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
/** A JSON object. */
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
  return parse(bytes, 'integers');
}

type Numbers = 'integers' | 'fractions' | 'any';

function parse(bytes: Uint8Array, numbers: Numbers): Json {
  let text: string;
  let value: Json;
  if (!types.isUint8Array(bytes) || !isUtf8(bytes)) throw new Refusal('json_invalid', 'not UTF-8');
  try {
    text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    value = JSON.parse(text) as Json;
  } catch {
    throw new Refusal('json_invalid', 'not JSON');
  }
  // JSON.parse keeps the last of two equal names; then the text holds more colons than the value has members.
  if (countMembers(value, numbers, 0) !== countColons(text))
    throw new Refusal('json_invalid', 'duplicate member name');
  return value;
}

/** {@link parseJson}, and the value must be an object. @throws {Refusal} `json_invalid`. */
export function parseJsonObject(bytes: Uint8Array): JsonObject {
  const value = parseJson(bytes);
  if (!isJsonObject(value)) throw new Refusal('json_invalid', 'not a JSON object');
  return value;
}

/**
 * {@link parseJsonObject} for JSON that others write by rules of their own (RFC 7519 lets times have a fraction): numbers
 * may have a fraction, integers must still be safe.
 *
 * @throws {Refusal} `json_invalid`.
 */
export function parseForeignJsonObject(bytes: Uint8Array): JsonObject {
  const value = parse(bytes, 'fractions');
  if (!isJsonObject(value)) throw new Refusal('json_invalid', 'not a JSON object');
  return value;
}

/**
 * {@link parseJson} for content that something else reads, too: no duplicate member names, of which one reader takes the first
 * and another the last. Numbers are what JSON.parse makes of them.
 *
 * @throws {Refusal} `json_invalid`.
 */
export function parseContentJson(bytes: Uint8Array): Json {
  return parse(bytes, 'any');
}

/** True for an object that is neither null nor an array. Does NOT look at its members. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Whether all that an object says is in its own members. A Map, a Date or an instance of a class is not read as an
 * object without members: what it says would be lost, and a `forbid` about it would fall silent.
 */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Not compared with Object.prototype: another realm has another one.
  return prototype === null || (!Array.isArray(value) && Object.getPrototypeOf(prototype) === null);
}

function countMembers(value: Json, numbers: Numbers, depth: number): number {
  if (depth > limits.maxJsonDepth) throw new Refusal('json_invalid', 'nested too deeply');
  if (typeof value === 'number' && !isExact(value, numbers)) {
    throw new Refusal('json_invalid', 'number is not a safe integer');
  }
  if (typeof value !== 'object' || value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value as readonly Json[]) count += countMembers(item, numbers, depth + 1);
    return count;
  }
  for (const item of Object.values(value)) count += 1 + countMembers(item, numbers, depth + 1);
  return count;
}

function isExact(value: number, numbers: Numbers): boolean {
  if (numbers === 'any' || Number.isSafeInteger(value)) return true;
  return numbers === 'fractions' && Number.isFinite(value) && !Number.isInteger(value);
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
 * @throws {Refusal} `json_invalid` for a number that is not a safe integer, a lone surrogate, a value JSON has no form for,
 *   and nesting that {@link parseJson} would refuse.
 */
export function canonicalJson(value: unknown): string {
  return canonical(value, 0);
}

function canonical(value: unknown, depth: number): string {
  if (depth > limits.maxJsonDepth) throw new Refusal('json_invalid', 'nested too deeply');
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new Refusal('json_invalid', 'number is not a safe integer');
    return String(value);
  }
  if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) throw new Refusal('json_invalid', 'lone surrogate');
    return JSON.stringify(value);
  }
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`;
  if (!isPlainObject(value)) throw new Refusal('json_invalid', 'not a JSON value');
  // RFC 8785 section 3.2.3: order by UTF-16 code units, which is what the default sort compares.
  const members = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${canonical(key, depth)}:${canonical(value[key], depth + 1)}`);
  return `{${members.join(',')}}`;
}
