import { ChildProcess } from 'node:child_process';
import crypto, { type KeyObject } from 'node:crypto';
import { ServerResponse } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Watches for secrets in what leaves the process. Whatever is signed as an envelope, a proof, an approval, a client
 * assertion or an outside token, every private key that is made or read, every token that a child process is given by its
 * environment, and every client secret that a kit names, is remembered by its unguessable part. Every HTTP response (body
 * and header fields), every line of output and whatever a child process prints into a pipe is searched for them, as are
 * receipts, refusals and log lines that the kit hands over.
 *
 * Does NOT know what other processes make for themselves, nor a secret that was cut in two or encoded once more.
 */
interface Watch {
  readonly secrets: Map<string, string>;
  /** Of any form, so looked for everywhere in a text. */
  readonly words: Map<string, string>;
  readonly leaks: string[];
}

const name = Symbol.for('bulla.leaks');
const shared = globalThis as { [name]?: Watch };
const watch: Watch = (shared[name] ??= { secrets: new Map(), words: new Map(), leaks: [] });

/** `typ` of the statements that are worth something to a thief; entries of the log are not. */
const secretTypes = new Map([
  ['bulla+jwt', 'an envelope'],
  ['bulla-block+jwt', 'a block'],
  ['dpop+jwt', 'a proof'],
  ['bulla-approval+jwt', 'an approval'],
  ['JWT', 'an assertion'],
  ['at+jwt', 'an outside token'],
]);
const signingInput = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/u;
/** Shorter runs are no secret of ours: a private key has 43 characters, a signature 86. */
const candidates = /[A-Za-z0-9_-]{40,}/gu;

function remember(secret: string, kind: string): void {
  if (secret.length >= 40) watch.secrets.set(secret, kind);
}

function rememberSigned(data: unknown, signature: unknown): void {
  const input = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1')
    : '';
  if (!signingInput.test(input)) return;
  const [header = '', payload = ''] = input.split('.');
  const kind = secretTypes.get(typeOf(header));
  if (kind === undefined) return;
  remember(payload, kind);
  remember(Buffer.from(signature as Uint8Array).toString('base64url'), kind);
}

function typeOf(header: string): string {
  try {
    const { typ = 'JWT' } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { typ?: string };
    return typ;
  } catch {
    return '';
  }
}

/** A secret that somebody chose, such as a client secret. Under 16 characters it is a word of any text. */
export function rememberWord(secret: string, kind: string): void {
  if (secret.length >= 16) watch.words.set(secret, kind);
}

function rememberKey(jwk: unknown): void {
  const { d } = (jwk ?? {}) as { readonly d?: unknown };
  if (typeof d === 'string') remember(d, 'a private key');
}

/** Looks for secrets in what is about to be shown to somebody. */
export function observe(where: string, output: unknown): void {
  const text = asText(output);
  if (text === undefined) return;
  const searched = withoutToken(text);
  // Which one it was would be one more place where it is shown.
  const found = (kind: string | undefined): void => {
    if (kind !== undefined) watch.leaks.push(`${where} holds ${kind}`);
  };
  for (const [candidate] of searched.matchAll(candidates)) found(watch.secrets.get(candidate));
  for (const [word, kind] of watch.words) found(searched.includes(word) ? kind : undefined);
}

function asText(output: unknown): string | undefined {
  if (typeof output === 'string') return output;
  if (ArrayBuffer.isView(output)) {
    return Buffer.from(output.buffer, output.byteOffset, output.byteLength).toString('latin1');
  }
  return undefined;
}

/** Members of the answers in which a secret belongs: each whole set of names, so that nothing else passes for one. */
const answersWithSecrets: readonly (readonly string[])[] = [
  // A helper of `bulla run`: proof for a request of the child's own, envelope for a step.
  ['authorization', 'dpop'],
  ['envelope'],
  // A CI's endpoint for ID tokens.
  ['count', 'value'],
];

/** What `spire-agent api fetch jwt` prints. */
const spireAnswer = /^token\(\S+\):\n\t[\w.-]+\n/u;
/** How a job asks its runner to hide a value. The runner takes the line out. */
const maskLines = /^::add-mask::.*$/gmu;

/** Without what belongs there: the tokens of a token response (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3), and the answers above. */
function withoutToken(text: string): string {
  if (!text.startsWith('{')) return text.replace(spireAnswer, '').replaceAll(maskLines, '');
  try {
    const answer = JSON.parse(text) as Record<string, unknown>;
    const { access_token: token, ...rest } = answer;
    if (token !== undefined) delete rest['id_token'];
    const names = Object.keys(rest).sort().join(' ');
    return answersWithSecrets.some((each) => each.join(' ') === names) ? '' : JSON.stringify(rest);
  } catch {
    return text;
  }
}

/** What was found since the last call. */
export function takeLeaks(): readonly string[] {
  return watch.leaks.splice(0);
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function wrap(
  target: object,
  method: string,
  around: (call: () => unknown, args: readonly unknown[], self: unknown) => unknown,
): void {
  const methods = target as Record<string, Method>;
  const original = methods[method] as Method;
  methods[method] = function wrapped(this: unknown, ...args: unknown[]) {
    return around(() => original.apply(this, args), args, this);
  };
}

function watchSecrets(): void {
  wrap(crypto, 'sign', (call, [, data]) => {
    const signature = call();
    if (signature !== undefined) rememberSigned(data, signature);
    return signature;
  });
  wrap(crypto, 'createPrivateKey', (call, [input]) => {
    rememberKey((input as { readonly key?: unknown }).key);
    return call();
  });
  const sample: KeyObject = crypto.generateKeyPairSync('ed25519').privateKey;
  wrap(Object.getPrototypeOf(sample) as object, 'export', (call) => {
    const exported = call();
    rememberKey(exported);
    return exported;
  });
  wrap(crypto, 'generateKeyPairSync', (call) => {
    const made = call();
    rememberKey((made as { readonly privateKey?: unknown }).privateKey);
    return made;
  });
  syncBuiltinESMExports();
  const subtle = Object.getPrototypeOf(crypto.webcrypto.subtle) as object;
  wrap(subtle, 'sign', async (call, [, , data]) => {
    const signature = (await call()) as ArrayBuffer;
    rememberSigned(data, new Uint8Array(signature));
    return signature;
  });
  wrap(subtle, 'exportKey', async (call) => {
    const exported = await call();
    rememberKey(exported);
    return exported;
  });
}

function watchOutputs(): void {
  for (const method of ['write', 'end', 'setHeader', 'appendHeader', 'writeHead']) {
    wrap(ServerResponse.prototype, method, (call, args) => {
      for (const arg of args.flat()) {
        observe('an HTTP response', arg);
        if (typeof arg === 'object' && arg !== null && !ArrayBuffer.isView(arg)) {
          for (const value of Object.values(arg).flat()) observe('a header field of an HTTP response', value);
        }
      }
      return call();
    });
  }
  globalThis.Response = new Proxy(globalThis.Response, {
    construct: (target, args: ConstructorParameters<typeof Response>, newTarget) => {
      const [body, init] = args;
      observe('a response', body);
      for (const [, value] of new Headers(init?.headers)) observe('a header field of a response', value);
      return Reflect.construct(target, args, newTarget) as Response;
    },
  });
  for (const method of ['log', 'info', 'warn', 'error', 'debug']) {
    wrap(console, method, (call, args) => {
      for (const arg of args) observe('the console', typeof arg === 'object' ? JSON.stringify(arg) : arg);
      return call();
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    wrap(stream, 'write', (call, [chunk]) => {
      observe('the output', chunk);
      return call();
    });
  }
}

/** What a program is given to show to a helper or to its CI, and to nobody else. */
const tokenVariable = /^(?:BULLA_|ACTIONS_ID_TOKEN_REQUEST_)\w*TOKEN=(?<token>.+)$/u;

function watchChildren(): void {
  wrap(ChildProcess.prototype, 'spawn', (call, [options], child) => {
    const { envPairs = [] } = options as { readonly envPairs?: readonly string[] };
    for (const pair of envPairs) {
      rememberWord(tokenVariable.exec(pair)?.groups?.['token'] ?? '', "a child's token");
    }
    const result = call();
    const { stdout, stderr } = child as ChildProcess;
    for (const stream of [stdout, stderr]) {
      if (stream !== null) watchPushes(stream);
    }
    return result;
  });
}

/** As it arrives: a listener of its own would set the stream flowing. */
function watchPushes(stream: object): void {
  wrap(stream, 'push', (call, [chunk]) => {
    observe('the output of a child process', chunk);
    return call();
  });
}

/** Once for each process. */
export function startWatching(): void {
  watchChildren();
  watchSecrets();
  watchOutputs();
}
