import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';

/** The functions of one cedar-wasm instance. Two instances share nothing, not even preparsed sets. */
export type Cedar = typeof CedarModule;

const require = createRequire(import.meta.url);

/**
 * Instantiates cedar-wasm afresh (about 20 ms): at start, and again after a trap, which leaves an instance that
 * throws on every later call.
 *
 * V8 of Node 20 and 22 inlines a hot wasm call into JavaScript and then aborts the process ("unreachable code",
 * SIGTRAP) when garbage collection meets that frame. The flag forbids this inlining; it must be set before the
 * first Cedar call and costs nothing measurable. No try/catch helps where it is missing.
 */
export function instantiateCedar(): Cedar {
  setFlagsFromString('--no-turbo-inline-js-wasm-calls');
  const path = require.resolve('@cedar-policy/cedar-wasm/nodejs');
  Reflect.deleteProperty(require.cache, path);
  return require(path) as Cedar;
}
