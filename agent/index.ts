export { type Agent, createAgent, type Delegation } from './agent.ts';
export type { AgentOptions, HandedOptions } from './config.ts';
export { describeEnvelope, type EnvelopeDescription } from './describe.ts';
export { type AgentCode, AgentError, agentCodes } from './errors.ts';
export type { ProvingFetch } from './fetch.ts';
export { type AgentKey, generateKey } from './keys.ts';
export {
  type NarrowedEnvelope,
  type Narrowing,
  type NarrowingSurroundings,
  narrowEnvelope,
  type Only,
} from './narrow.ts';
export { type ApiProblem, type ProblemNext, readProblem } from './problem.ts';
export type { ProofHeaders, RequestToProve } from './prove.ts';
export { fetchPolicySet, type PolicySetLocation, type SchemaSource } from './schema.ts';
export type { CredentialSource, SubjectToken, SubjectTokenType } from './source.ts';
export type { AskingOptions } from './sources/ask.ts';
export { type CommandOptions, spiffeCommand } from './sources/command.ts';
export { spiffeFile, tokenFile } from './sources/file.ts';
export { githubActions, githubVariables } from './sources/github.ts';
export { type ClientCredentialsOptions, oidcClientCredentials } from './sources/oidc.ts';
