export {
  apply,
  type Change,
  genesisPosition,
  isTimedByDelegate,
  nextPosition,
  type Position,
  requestSubject,
} from './apply.ts';
export {
  type Checkpoint,
  parseCheckpoint,
  signCheckpoint,
  type UnverifiedCheckpoint,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint.ts';
export {
  accountIdOf,
  agentIdOf,
  type EntryDraft,
  leafHash,
  parseEntry,
  parseRequest,
  principalIdOf,
  type RequestDraft,
  signEntry,
  signRequest,
  type UnverifiedEntry,
  type UnverifiedRequest,
} from './entry.ts';
export { type Alarm, createFollower, type Follower, type FollowerOptions } from './follow.ts';
export { groupsOf } from './groups.ts';
export {
  createKeyAnswer,
  type KeyAnswer,
  type ProvenRecord,
  verifyKeyAnswer,
} from './key-answer.ts';
export { type KeyFacts, type KeyQuestion, keyFacts, type PersonKeys, personKeys } from './key-facts.ts';
export { type Leaving, type LeavingAgent, leavingOf } from './leaving.ts';
export { formatLock, type Lock, parseLock, raiseLock, readLock } from './lock.ts';
export { checkLogin, identityKey, type LoginDemands, type LoginIdentity, loginHash } from './login.ts';
export {
  CompactRange,
  consistencyProof,
  emptyTreeRoot,
  hashLeaf,
  inclusionProof,
  type NodeReader,
  type NodeWriter,
  TreeNodes,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
export { type NoteSignature, noteKeyId, parseNote, type UnverifiedNote, writeNote } from './note.ts';
export type {
  ClaimDemand,
  Lease,
  LeaseCaps,
  LoginClaim,
  LoginProof,
  Operation,
  OutsideProfile,
  PersonLogin,
} from './operations.ts';
export {
  type Assurance,
  audienceKey,
  type FederationRecord,
  type LoginRecord,
  type Read,
  type Records,
  revokedKey,
} from './records.ts';
export { isCapped } from './rules/lease.ts';
export { leasable, permitted } from './rules/permitted.ts';
export { suspensionSource } from './rules/suspension.ts';
export { cosign, cosignFirst } from './signed.ts';
export {
  adminIsLive,
  agentIsLive,
  keyIsLive,
  liveDelegate,
  principalIsLive,
} from './standing.ts';
export { emptyStateRoot, StateMap, type StateProof, verifyStateProof } from './state-map.ts';
export {
  hashTile,
  parseEntryBundle,
  parseTilePath,
  type TileName,
  tileFill,
  tilePath,
  tileWidth,
  writeEntryBundle,
} from './tiles.ts';
export type { TrustView } from './view.ts';
export { type Appended, type Draft, World } from './world.ts';
