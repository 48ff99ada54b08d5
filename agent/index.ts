export { type Agent, createAgent, type Delegation } from './agent.ts';
export type { AgentOptions, HandedOptions } from './config.ts';
export { type AgentCode, AgentError, agentCodes } from './errors.ts';
export { type AgentKey, generateKey } from './keys.ts';
export {
  type NarrowedEnvelope,
  type Narrowing,
  type NarrowingSurroundings,
  narrowEnvelope,
  type Only,
} from './narrow.ts';
export type { ProofHeaders, RequestToProve } from './prove.ts';
export { fetchPolicySet, type PolicySetLocation, type SchemaSource } from './schema.ts';
