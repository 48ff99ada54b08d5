export {
  type Checkpoint,
  checkpointText,
  parseCheckpoint,
  signCheckpoint,
  type UnverifiedCheckpoint,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from './checkpoint.ts';
export {
  CompactRange,
  consistencyProof,
  emptyTreeRoot,
  hashLeaf,
  hashNode,
  inclusionProof,
  type NodeReader,
  type NodeWriter,
  TreeNodes,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from './merkle.ts';
export { type NoteSignature, noteKeyId, parseNote, type UnverifiedNote, writeNote } from './note.ts';
export type { Lease, Operation } from './operations.ts';
export type { Read, Records } from './records.ts';
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
