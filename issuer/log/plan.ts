import { Refusal, type Signer } from '@bulla/verifier';
import { canonicalJson } from '@bulla/verifier/envelope';
import {
  type Change,
  type Draft,
  type Operation,
  type Read,
  signEntry,
  type World,
} from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { RowWrite } from '../store/table.ts';

/** What becomes an entry: an operation, or somebody's request to wrap. */
type Content = Operation | { readonly request: string };

/** What is written at once: all entries and all rows, or nothing. */
export interface Plan {
  /** One entry each, in order. A function sees what the entries before it changed: the id of whoever was provisioned. */
  readonly ops: readonly (Content | ((changes: readonly Change[]) => Content))[];
  /** Directory rows, given what the entries changed. Expectations among them are asked first, before anything is written. */
  readonly rows?: (changes: readonly Change[]) => readonly RowWrite[];
}

/**
 * Makes a plan for the state that `read` shows, at entry time `time` (Unix seconds). It runs in the writer's turn, so that
 * nothing changes between what it reads and what is written; and again where another process wrote first: it must have no
 * effect but its answer. What it reads from the directory and another process could change, it guards with `expectRows`.
 */
export type MakePlan = (read: Read, time: number) => Plan | Promise<Plan>;

/** What a write did. */
export interface Written {
  /** Of each entry, in order; none where only rows were written. */
  readonly changes: readonly Change[];
  /** Number of entries, these included. */
  readonly size: number;
}

interface Drafted {
  readonly draft: Draft;
  readonly leaves: readonly string[];
  readonly changes: readonly Change[];
}

/** Entries between which others get a word in: signing thousands takes seconds. */
const entriesPerBreath = 64;

/**
 * Signs the entries of a plan on the world's head and applies them to a draft of it.
 *
 * @throws {Refusal} whatever a rule says to one of them; the draft is then to be dropped.
 */
export async function draftPlan(world: World, plan: Plan, signer: Signer, time: number): Promise<Drafted> {
  const draft = world.draft();
  const leaves: string[] = [];
  const changes: Change[] = [];
  for (const step of plan.ops) {
    const content = typeof step === 'function' ? step(changes) : step;
    const position = { account: world.account, seq: draft.size, prev: draft.head ?? '', time };
    const leaf = signEntry(
      { ...position, ...('request' in content ? { request: content.request } : { op: content }) },
      signer,
    );
    const { change, refusal } = draft.append(leaf);
    if (change === undefined) {
      throw refusal ?? new IssuerRefusal('internal', 'entry was neither applied nor refused');
    }
    if (change.op.type === 'policy.publish') {
      throw new Refusal('rule_not_permitted', 'policy sets are published with their documents');
    }
    leaves.push(leaf);
    changes.push(change);
    if (leaves.length % entriesPerBreath === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { draft, leaves, changes };
}

/** Id of the person that an entry provisioned. */
export function provisionedBy(change: Change | undefined): string {
  for (const key of change?.writes.keys() ?? []) {
    if (key.startsWith('principal/')) return key.slice('principal/'.length);
  }
  throw new Error('entry made no person');
}

/** World-state records as the store keeps them. */
export function recordsOf(writes: Change['writes']): ReadonlyMap<string, string> {
  return new Map([...writes].map(([key, record]) => [key, canonicalJson(record)]));
}

/** Expectations are about what was there before; then what the entries mean; then the plan, which knows best. */
export function rowsInOrder(
  planned: readonly RowWrite[],
  projected: readonly RowWrite[],
): readonly RowWrite[] {
  const isExpectation = ({ kind }: RowWrite): boolean => kind === 'expect';
  return [
    ...planned.filter(isExpectation),
    ...projected,
    ...planned.filter((write) => !isExpectation(write)),
  ];
}
