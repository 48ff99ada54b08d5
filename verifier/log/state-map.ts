import { Refusal } from '../errors.ts';
import { canonicalJson, type Json } from '../json.ts';
import { limits } from '../limits.ts';
import { sha256 } from './merkle.ts';

/**
 * What proves that a key has a value, or none. `siblings`: from the root down. The path ends in the key's own leaf,
 * in an empty place (`other` absent), or in the leaf of another key that stands where this one would (`other`).
 */
export interface StateProof {
  readonly siblings: readonly Buffer[];
  readonly other?: { readonly path: Buffer; readonly valueHash: Buffer };
}

const hashBytes = 32;
const tag = { leaf: 0x10, node: 0x11, empty: 0x12 } as const;

/** Root of a map without keys; also stands for every empty subtree. */
export const emptyStateRoot: Buffer = sha256(Uint8Array.of(tag.empty));

function statePath(key: string): Buffer {
  return sha256(Buffer.from(key));
}

function valueHashOf(value: Json): Buffer {
  return sha256(Buffer.from(canonicalJson(value)));
}

function combine(first: number, left: Uint8Array, right: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + 2 * hashBytes);
  bytes[0] = first;
  bytes.set(left, 1);
  bytes.set(right, 1 + hashBytes);
  return sha256(bytes);
}

function bitAt(path: Uint8Array, depth: number): 0 | 1 {
  return (((path[depth >> 3] as number) >> (7 - (depth & 7))) & 1) as 0 | 1;
}

/**
 * Sparse Merkle map: string key -> RFC 8785 value. A subtree without keys is `empty`, with one key that key's leaf,
 * else a node: so the root depends on the contents alone, and proofs are as long as the logarithm of the number of keys.
 *
 * Holds hashes, not values: about 110 bytes a key, in typed arrays. Hashes of nodes are recomputed when the root is
 * asked for, once for all changes since. Keys are never removed.
 */
export class StateMap {
  #count = 0;
  /** A reference is 0 (empty), n > 0 (node n) or n < 0 (leaf -n). */
  #root = 0;
  #nodes = 0;
  #leaves = 0;
  #children = new Int32Array(2 * 64);
  #nodeHashes: Buffer = Buffer.alloc(64 * hashBytes);
  #stale = new Uint8Array(64);
  /** Path and value hash of each leaf. */
  #leafKeys: Buffer = Buffer.alloc(64 * 2 * hashBytes);

  get count(): number {
    return this.#count;
  }

  set(key: string, value: Json): void {
    const path = statePath(key);
    const valueHash = valueHashOf(value);
    let parent = 0;
    let side: 0 | 1 = 0;
    let reference = this.#root;
    let depth = 0;
    while (reference > 0) {
      this.#stale[reference] = 1;
      parent = reference;
      side = bitAt(path, depth);
      reference = this.#children[2 * reference + side] as number;
      depth += 1;
    }
    if (reference < 0 && this.#pathOf(-reference).equals(path)) {
      this.#leafKeys.set(valueHash, -reference * 2 * hashBytes + hashBytes);
      return;
    }
    const leaf = this.#addLeaf(path, valueHash);
    this.#link(parent, side, reference === 0 ? leaf : this.#fork(depth, reference, leaf, path));
  }

  #link(parent: number, side: 0 | 1, reference: number): void {
    if (parent === 0) this.#root = reference;
    else this.#children[2 * parent + side] = reference;
  }

  /** Nodes from `depth` down to where two leaves part. */
  #fork(depth: number, older: number, newer: number, path: Buffer): number {
    const olderPath = this.#pathOf(-older);
    let end = depth;
    while (bitAt(path, end) === bitAt(olderPath, end)) end += 1;
    let reference = 0;
    for (let level = end; level >= depth; level -= 1) {
      const node = this.#addNode();
      const side = bitAt(path, level);
      this.#children[2 * node + side] = level === end ? newer : reference;
      this.#children[2 * node + 1 - side] = level === end ? older : 0;
      reference = node;
    }
    return reference;
  }

  #addLeaf(path: Buffer, valueHash: Buffer): number {
    this.#leaves += 1;
    const offset = this.#leaves * 2 * hashBytes;
    if (offset >= this.#leafKeys.length) {
      this.#leafKeys = Buffer.concat([this.#leafKeys, Buffer.alloc(this.#leafKeys.length)]);
    }
    this.#leafKeys.set(path, offset);
    this.#leafKeys.set(valueHash, offset + hashBytes);
    this.#count += 1;
    return -this.#leaves;
  }

  #addNode(): number {
    this.#nodes += 1;
    if (this.#nodes >= this.#stale.length) {
      const [children, stale] = [this.#children, this.#stale];
      this.#children = new Int32Array(2 * children.length);
      this.#children.set(children);
      this.#stale = new Uint8Array(2 * stale.length);
      this.#stale.set(stale);
      this.#nodeHashes = Buffer.concat([this.#nodeHashes, Buffer.alloc(this.#nodeHashes.length)]);
    }
    this.#stale[this.#nodes] = 1;
    return this.#nodes;
  }

  #pathOf(leaf: number): Buffer {
    return this.#leafKeys.subarray(leaf * 2 * hashBytes, leaf * 2 * hashBytes + hashBytes);
  }

  #valueHashOf(leaf: number): Buffer {
    return this.#leafKeys.subarray(leaf * 2 * hashBytes + hashBytes, (leaf + 1) * 2 * hashBytes);
  }

  #hashOf(reference: number): Buffer {
    if (reference === 0) return emptyStateRoot;
    if (reference < 0) return combine(tag.leaf, this.#pathOf(-reference), this.#valueHashOf(-reference));
    const offset = reference * hashBytes;
    if (this.#stale[reference] === 1) {
      const left = this.#hashOf(this.#children[2 * reference] as number);
      const right = this.#hashOf(this.#children[2 * reference + 1] as number);
      this.#nodeHashes.set(combine(tag.node, left, right), offset);
      this.#stale[reference] = 0;
    }
    return this.#nodeHashes.subarray(offset, offset + hashBytes);
  }

  root(): Buffer {
    return Buffer.from(this.#hashOf(this.#root));
  }

  /**
   * Proves the value of a key, or that it has none.
   *
   * @throws {Refusal} `state_proof_too_long` where the key shares over `maxStateProofSiblings` bits with another:
   *   nobody meets that by chance.
   */
  prove(key: string): StateProof {
    const path = statePath(key);
    const siblings: Buffer[] = [];
    let reference = this.#root;
    while (reference > 0) {
      const side = bitAt(path, siblings.length);
      siblings.push(Buffer.from(this.#hashOf(this.#children[2 * reference + 1 - side] as number)));
      reference = this.#children[2 * reference + side] as number;
    }
    if (siblings.length > limits.maxStateProofSiblings) {
      throw new Refusal('state_proof_too_long', 'state proof has too many siblings');
    }
    if (reference === 0 || this.#pathOf(-reference).equals(path)) return { siblings };
    const other = {
      path: Buffer.from(this.#pathOf(-reference)),
      valueHash: Buffer.from(this.#valueHashOf(-reference)),
    };
    return { siblings, other };
  }
}

/**
 * Checks a proof against a root: with a value, that the key has exactly it; with undefined, that the key has none.
 *
 * @throws {Refusal} `state_proof_invalid`, `state_proof_too_long`.
 */
export function verifyStateProof(
  root: Uint8Array,
  key: string,
  value: Json | undefined,
  proof: StateProof,
): void {
  if (proof.siblings.length > limits.maxStateProofSiblings) {
    throw new Refusal('state_proof_too_long', 'state proof has too many siblings');
  }
  const hashes = [...proof.siblings, ...(proof.other ? [proof.other.path, proof.other.valueHash] : [])];
  if (hashes.some((sibling) => sibling.length !== hashBytes)) {
    throw new Refusal('state_proof_invalid', 'state proof holds something that is not a hash');
  }
  const path = statePath(key);
  let node = endOf(path, value, proof);
  for (let depth = proof.siblings.length - 1; depth >= 0; depth -= 1) {
    const sibling = proof.siblings[depth] as Buffer;
    node = bitAt(path, depth) === 0 ? combine(tag.node, node, sibling) : combine(tag.node, sibling, node);
  }
  if (!node.equals(root)) throw new Refusal('state_proof_invalid', 'state proof leads to another root');
}

function endOf(path: Buffer, value: Json | undefined, proof: StateProof): Buffer {
  const { other, siblings } = proof;
  if (value !== undefined) {
    if (other !== undefined) throw new Refusal('state_proof_invalid', 'state proof is of absence');
    return combine(tag.leaf, path, valueHashOf(value));
  }
  if (other === undefined) return emptyStateRoot;
  if (other.path.equals(path)) throw new Refusal('state_proof_invalid', 'the other leaf is the same key');
  for (let depth = 0; depth < siblings.length; depth += 1) {
    if (bitAt(path, depth) !== bitAt(other.path, depth)) {
      throw new Refusal('state_proof_invalid', 'the other leaf stands elsewhere');
    }
  }
  return combine(tag.leaf, other.path, other.valueHash);
}
