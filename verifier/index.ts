export type { Access, Resource, RouteOptions, WireRequest } from './access.ts';
export { type CheckedEnvelope, checkEnvelope } from './check-envelope.ts';
export { type Code, type CodeEntry, codes, describeCode, Refusal } from './errors.ts';
export type { Grant } from './grant.ts';
export {
  createSigner,
  generatePrivateJwk,
  type PrivateJwk,
  type PublicJwk,
  type PublicKey,
  parsePublicJwk,
  type Signer,
  signatureAlgorithms,
} from './keys.ts';
export { limits } from './limits.ts';
export { type Next, type NextStep, nextStep } from './next.ts';
export { type Ports, systemPorts } from './ports.ts';
export { createNonces, type NonceOptions, type Nonces } from './proof/nonce.ts';
export {
  type ApprovalUse,
  approvalKey,
  type MemoryReplayOptions,
  memoryReplay,
  type ProofUse,
  type ReplayStore,
  replayKey,
} from './proof/replay.ts';
export type { Reason, Receipt } from './receipt.ts';
export type { Decision, Verifier, VerifierOptions } from './verifier.ts';
export { createVerifier } from './verify.ts';
