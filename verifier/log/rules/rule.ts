import type { Operations } from '../operation-formats.ts';
import type { Proposal } from '../proposal.ts';

/** Writes what the operation changes, or throws a refusal. Runs after who asks was checked. */
export type Rules<T extends keyof Operations> = {
  readonly [K in T]: (proposal: Proposal, op: Operations[K]) => void;
};
