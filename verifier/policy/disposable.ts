import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';
import { Refusal } from '../errors.ts';

type Functions = typeof CedarModule;

/** One call of a cedar-wasm function, arguments included. */
export type CedarCall = {
  [Name in
    | 'policySetTextToParts'
    | 'policyToJson'
    | 'policyToText'
    | 'schemaToJsonWithResolvedTypes'
    | 'validate']: {
    readonly name: Name;
    readonly argument: Parameters<Functions[Name]>[0];
  };
}['policySetTextToParts' | 'policyToJson' | 'policyToText' | 'schemaToJsonWithResolvedTypes' | 'validate'];

const maxSeconds = 20;

/** Runs as a script, so that it starts the same way from source and from the built package. */
const script = `
  const { parentPort, workerData } = require('node:worker_threads');
  const cedar = require(workerData.path);
  parentPort.postMessage(workerData.calls.map(({ name, argument }) => cedar[name](argument)));
`;

/**
 * Calls cedar-wasm in a worker thread that is thrown away afterwards. Policy *text* can kill an instance for good
 * (200 nested brackets, or 400 terms of a flat sum), also after parser and validator have accepted it: text is
 * only ever read here.
 *
 * @returns the answers, in order.
 * @throws {Refusal} `engine_failed` where Cedar traps or takes longer than 20 seconds.
 */
export async function callDisposableCedar<Answers extends readonly unknown[]>(
  calls: readonly CedarCall[],
): Promise<Answers> {
  const path = createRequire(import.meta.url).resolve('@cedar-policy/cedar-wasm/nodejs');
  const worker = new Worker(script, { eval: true, workerData: { path, calls }, execArgv: [], stderr: true });
  const { promise, resolve, reject } = deferred<Answers>();
  const failed = (): void => reject(new Refusal('engine_failed', 'cedar could not work on this text'));
  const timer = setTimeout(failed, maxSeconds * 1000);
  worker.once('message', resolve);
  worker.once('error', failed);
  worker.once('exit', failed);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  if (settle === undefined) throw new Error('a promise did not call its executor');
  return { promise, ...settle };
}
