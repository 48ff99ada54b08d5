export { type Agent, createAgent } from './agent.ts';
export type { AgentOptions } from './config.ts';
export { type AgentCode, AgentError, agentCodes } from './errors.ts';
export { type AgentKey, generateKey } from './keys.ts';
export type { ProofHeaders, RequestToProve } from './prove.ts';
