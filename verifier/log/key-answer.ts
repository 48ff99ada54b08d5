import { decodeBase64url, encodeBase64url } from '../base64url.ts';
import { Refusal } from '../errors.ts';
import { isJsonObject, type Json, type JsonObject, parseJsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { type KeyFacts, type KeyQuestion, keyFacts, type PersonKeys, personKeys } from './key-facts.ts';
import type { Read, Records } from './records.ts';
import { type StateProof, verifyStateProof } from './state-map.ts';
import type { World } from './world.ts';

/** An answer about keys that proves itself (docs/spec/keys.md section 3): the records it rests on, and what proves each. */
export interface KeyAnswer {
  readonly account: string;
  /** The checkpoint note under whose state root every proof leads. */
  readonly checkpoint: string;
  readonly records: readonly ProvenRecord[];
}

/** One key of the world state with its value, null where it has none. */
export interface ProvenRecord {
  readonly key: string;
  readonly value: Json;
  /** Hashes in base64url, from the root down; `other` where the place holds the leaf of another key. */
  readonly proof: {
    readonly siblings: readonly string[];
    readonly other?: { readonly path: string; readonly valueHash: string };
  };
}

/**
 * Answers a question about keys from a world, with a proof for every record that the answer rests on, absent ones too. `note`: a
 * checkpoint of exactly this world; whether it is one is for the caller to see to.
 *
 * @throws {Refusal} `state_proof_too_long`.
 */
export function createKeyAnswer(world: World, note: string, question: KeyQuestion): KeyAnswer {
  const records = new Map<string, ProvenRecord>();
  const read: Read = (key) => {
    const value = world.read(key);
    // The records are plain JSON by construction.
    const json = (value ?? null) as Json;
    records.set(key, { key, value: json, proof: written(world.prove(key)) });
    return value;
  };
  answered(read, question);
  return { account: world.account, checkpoint: note, records: [...records.values()] };
}

/**
 * Verifies an answer about one key, as its bytes came over the wire: that every record it rests on is in the state of `trusted`,
 * and that none is missing; and works out from them, by the very functions that verifiers use, whether the key stands.
 *
 * `trusted` is a checkpoint that the caller believes: `Follower.checkpoint`, whose leaves were all replayed here, or one whose
 * size and roots were pinned. What {@link verifyCheckpoint} returns does as well, and then the holder of the log key is believed for the
 * state root, since nobody else ran the rules.
 *
 * This does NOT check: how old `trusted` is, nor that nothing happened since; a direct stop (`bulla stop`); who the person behind
 * an id is (compare fingerprints with them); that the key may do anything: policies decide that.
 *
 * @throws {Refusal} `key_answer_invalid`, `key_answer_elsewhere`, `key_answer_incomplete`, `state_proof_invalid`, `state_proof_too_long`,
 *   `note_malformed`, `checkpoint_malformed`.
 */
export function verifyKeyAnswer(
  answer: Uint8Array,
  question: { readonly key: string },
  trusted: Pick<Checkpoint, 'origin' | 'size' | 'root' | 'state'>,
): KeyFacts;
/** As above, about every key of a person: a key that is not in the result is not theirs, or was revoked. */
export function verifyKeyAnswer(
  answer: Uint8Array,
  question: { readonly principal: string },
  trusted: Pick<Checkpoint, 'origin' | 'size' | 'root' | 'state'>,
): PersonKeys;
export function verifyKeyAnswer(
  answer: Uint8Array,
  question: KeyQuestion,
  trusted: Pick<Checkpoint, 'origin' | 'size' | 'root' | 'state'>,
): KeyFacts | PersonKeys {
  const { checkpoint, records } = parse(answer);
  const claimed = parseCheckpoint(checkpoint);
  const same =
    claimed.origin === trusted.origin &&
    claimed.size === trusted.size &&
    claimed.root.equals(trusted.root) &&
    claimed.state.equals(trusted.state);
  if (!same)
    throw new Refusal('key_answer_elsewhere', 'answer is under another checkpoint than the trusted one');
  const proven = new Map<string, Json>();
  for (const { key, value, proof } of records) {
    if (proven.has(key)) throw invalid('a record is repeated');
    verifyStateProof(trusted.state, key, value ?? undefined, proof);
    proven.set(key, value);
  }
  return answered(readProven(proven), question);
}

function answered(read: Read, question: KeyQuestion): KeyFacts | PersonKeys {
  return 'key' in question ? keyFacts(read, question.key) : personKeys(read, question.principal);
}

function readProven(proven: ReadonlyMap<string, Json>): Read {
  return <K extends keyof Records>(key: K) => {
    const value = proven.get(key);
    if (value === undefined)
      throw new Refusal('key_answer_incomplete', 'answer lacks a record that it rests on');
    // Under a root that rules made, the value of a key is its record.
    return (value ?? undefined) as (Records[K] & Json) | undefined;
  };
}

function written({ siblings, other }: StateProof): ProvenRecord['proof'] {
  return {
    siblings: siblings.map(encodeBase64url),
    ...(other !== undefined && {
      other: { path: encodeBase64url(other.path), valueHash: encodeBase64url(other.valueHash) },
    }),
  };
}

interface ParsedRecord {
  readonly key: string;
  readonly value: Json;
  readonly proof: StateProof;
}

function parse(answer: Uint8Array): {
  readonly checkpoint: string;
  readonly records: readonly ParsedRecord[];
} {
  if (answer.length > limits.maxKeyAnswerBytes) throw invalid('answer is too large');
  const { account, checkpoint, records, ...rest } = object(answer);
  if (typeof account !== 'string' || typeof checkpoint !== 'string' || !Array.isArray(records)) {
    throw invalid('a member is missing or malformed');
  }
  if (Object.keys(rest).length > 0) throw invalid('a member is unknown');
  return { checkpoint, records: records.map(parseRecord) };
}

function object(answer: Uint8Array): JsonObject {
  try {
    return parseJsonObject(answer);
  } catch (cause) {
    throw new Refusal('key_answer_invalid', 'answer is not strict JSON', { cause });
  }
}

function parseRecord(record: Json): ParsedRecord {
  if (!isJsonObject(record)) throw invalid('a record is not an object');
  const { key, value, proof } = record;
  if (typeof key !== 'string' || value === undefined || !isJsonObject(proof))
    throw invalid('a record is malformed');
  const { siblings, other } = proof;
  if (!Array.isArray(siblings)) throw invalid('a proof has no siblings');
  if (siblings.length > limits.maxStateProofSiblings)
    throw new Refusal('state_proof_too_long', 'state proof has too many siblings');
  return {
    key,
    value,
    proof: {
      siblings: siblings.map(hashOf),
      ...(isJsonObject(other) && {
        other: { path: hashOf(other['path']), valueHash: hashOf(other['valueHash']) },
      }),
    },
  };
}

function hashOf(text: Json | undefined): Buffer {
  try {
    if (typeof text === 'string') return decodeBase64url(text);
  } catch {
    // Falls through.
  }
  throw invalid('a hash is malformed');
}

function invalid(problem: string): Refusal {
  return new Refusal('key_answer_invalid', problem);
}
