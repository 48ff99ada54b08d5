export { type Cedar, instantiateCedar } from './cedar.ts';
export {
  buildContext,
  type CedarContext,
  type ReservedContext,
  timeContext,
} from './context.ts';
export { parsePolicySetDocument, policySetBytes, policySetDigest } from './digest.ts';
export type { PolicySetDocument } from './document.ts';
export {
  createEngine,
  type Engine,
  type Fault,
  type Layer,
  type LoadedSet,
  type Question,
  type Reason,
  type Verdict,
} from './engine.ts';
export type { Principal } from './entities.ts';
export type { Narrow } from './narrow.ts';
