import { readFileSync } from 'node:fs';
import type * as BiscuitWasm from '@biscuit-auth/biscuit-wasm';
import { askedAction } from './policies.ts';
import type { Call } from './rounds.ts';

type Imports = Readonly<Record<string, object>>;
type Exports = Readonly<Record<string, unknown>>;

/** What this file uses of a global that `lib.es2023` does not declare. */
interface WebAssemblyApi {
  readonly Module: {
    new (bytes: Uint8Array): object;
    imports(module: object): readonly { readonly module: string }[];
  };
  readonly Instance: new (module: object, imports: Imports) => { readonly exports: Exports };
}

/**
 * Loads `biscuit-wasm` as its own entry does, which Node 20 runs only behind `--experimental-wasm-modules`: a flag that
 * the rows beside it are not measured with.
 */
async function load(): Promise<typeof BiscuitWasm> {
  const entry = import.meta.resolve('@biscuit-auth/biscuit-wasm');
  const bindings = (await import(new URL('biscuit_bg.js', entry).href)) as typeof BiscuitWasm & Exports;
  const webAssembly = Reflect.get(globalThis, 'WebAssembly') as WebAssemblyApi;
  const module = new webAssembly.Module(readFileSync(new URL('biscuit_bg.wasm', entry)));
  const clock = { performance_now: () => performance.now() };
  const imports = Object.fromEntries(
    webAssembly.Module.imports(module).map(({ module: name }) => [
      name,
      name.includes('/snippets/') ? clock : bindings,
    ]),
  );
  const { exports } = new webAssembly.Instance(module, imports);
  (bindings['__wbg_set_wasm'] as (exports: Exports) => void)(exports);
  quietly(exports['__wbindgen_start'] as () => void);
  return bindings;
}

/** Once: the bindings know one instance. */
let loading: ReturnType<typeof load> | undefined;

/** It says on standard output that it is loading, where `--json` wants results alone. */
function quietly(start: () => void): void {
  const { log } = console;
  console.log = () => undefined;
  start();
  console.log = log;
}

const limits = { max_facts: 1000, max_iterations: 100, max_time_micro: 1_000_000 };
const folder = 'f1';
/** V8 compiles WebAssembly for speed only after some hundred calls: more than rounds of these rows have. */
const unhurriedCalls = 100;

/** The policies of `policySet({ policies: 10, entities: 1 })`, as Datalog. */
const policies: readonly string[] = [
  'deny if key("unlogged")',
  'deny if depth($depth), $depth > 15',
  ...Array.from({ length: 8 }, (_, index) => {
    const action = index < 2 ? askedAction : `document.action${String(index)}`;
    const group = index % 2 === 0 ? 'staff' : `auditors-${String(index)}`;
    return `allow if operation("${action}"), user($user), member($user, "${group}"), team($user, "blue")`;
  }),
];

/** What the API says of each request, beside the time. */
const facts: readonly string[] = [
  `operation("${askedAction}")`,
  `folder("${folder}")`,
  'document("1")',
  'key("logged")',
  'depth(3)',
];

/** A chain of this many blocks, each with one check: action and folder. */
export interface BiscuitChain {
  /** Parse, verify all signatures, authorize. */
  cold(count: number): readonly Call[];
  /** One token, parsed and verified before: authorize alone. */
  warm(count: number): readonly Call[];
}

export async function createBiscuitChain(blocks: number): Promise<BiscuitChain> {
  const { Authorizer, Biscuit, Fact, KeyPair, Policy } = await (loading ??= load());
  const root = new KeyPair();
  const [publicKey, privateKey] = [root.getPublicKey(), root.getPrivateKey()];
  const known = facts.map((source) => Fact.fromString(source));
  const rules = policies.map((source) => Policy.fromString(source));
  const timeOf = (milliseconds: number): string => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
  const mint = (): string => {
    const builder = Biscuit.builder();
    builder.addCode('user("alice"); agent("agent"); member("alice", "staff"); team("alice", "blue");');
    builder.addCode(`check if time($time), $time < ${timeOf(Date.now() + 300_000)};`);
    let token = builder.build(privateKey);
    for (let block = 0; block < blocks; block += 1) {
      const limit = Biscuit.block_builder();
      limit.addCode(`check if operation("${askedAction}"), folder("${folder}");`);
      const longer = token.appendBlock(limit);
      for (const done of [token, limit]) done.free();
      token = longer;
    }
    const text = token.toBase64();
    token.free();
    return text;
  };
  const authorize = (token: BiscuitWasm.Biscuit): void => {
    const authorizer = new Authorizer();
    for (const fact of known) authorizer.addFact(fact);
    const time = Fact.fromString(`time(${timeOf(Date.now())})`);
    authorizer.addFact(time);
    time.free();
    for (const policy of rules) authorizer.addPolicy(policy);
    authorizer.addToken(token);
    authorizer.authorizeWithLimits(limits);
    authorizer.free();
  };
  const seen = Biscuit.fromBase64(mint(), publicKey);
  const verify = (text: string): void => {
    const token = Biscuit.fromBase64(text, publicKey);
    authorize(token);
    token.free();
  };
  // It remembers no token: what was read before is as cold as a new one, and making tokens would swell its memory.
  const tokens = Array.from({ length: 20 }, mint);
  let turn = 0;
  const next = (): string => tokens[(turn += 1) % tokens.length] ?? '';
  for (let call = 0; call < unhurriedCalls; call += 1) verify(next());
  return {
    cold: (count) => Array.from({ length: count }, next).map((text) => async () => verify(text)),
    warm: (count) => Array.from({ length: count }, () => async () => authorize(seen)),
  };
}
