import { hash } from 'node:crypto';
import { Refusal } from '../errors.ts';

/** Hash of the complete subtree of height `level` that starts at leaf `index * 2^level`. */
export type NodeReader = (level: number, index: number) => Uint8Array;

/** Told each complete subtree as it comes into being, leaf hashes (level 0) included. */
export type NodeWriter = (level: number, index: number, node: Buffer) => void;

const hashBytes = 32;

/** RFC 6962 section 2.1: root of the tree without leaves. */
export const emptyTreeRoot: Buffer = sha256(Buffer.alloc(0));

export function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** RFC 6962 section 2.1: SHA-256(0x00 || leaf). */
export function hashLeaf(leaf: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + leaf.length);
  bytes[0] = 0;
  bytes.set(leaf, 1);
  return sha256(bytes);
}

/** RFC 6962 section 2.1: SHA-256(0x01 || left || right). */
function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + 2 * hashBytes);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + hashBytes);
  return sha256(bytes);
}

/**
 * The append-only right edge of a tree: at most one complete subtree per bit of the size. Enough to append and to
 * know the root; not enough to prove anything.
 */
export class CompactRange {
  #size = 0;
  /** Complete subtrees, largest first. */
  readonly #edge: Buffer[] = [];

  get size(): number {
    return this.#size;
  }

  append(leafHash: Buffer, onNode?: NodeWriter): void {
    let node = leafHash;
    let index = this.#size;
    onNode?.(0, index, node);
    for (let level = 1; index % 2 === 1; level += 1) {
      node = hashNode(this.#edge.pop() as Buffer, node);
      index = (index - 1) / 2;
      onNode?.(level, index, node);
    }
    this.#edge.push(node);
    this.#size += 1;
  }

  root(): Buffer {
    const last = this.#edge.at(-1);
    if (last === undefined) return emptyTreeRoot;
    let root = last;
    for (let index = this.#edge.length - 2; index >= 0; index -= 1) {
      root = hashNode(this.#edge[index] as Buffer, root);
    }
    return root;
  }

  /** An independent copy: appending to one leaves the other as it was. */
  clone(): CompactRange {
    const copy = new CompactRange();
    copy.#size = this.#size;
    copy.#edge.push(...this.#edge);
    return copy;
  }
}

/** All complete subtrees of a tree, in memory, 64 bytes a leaf: what a server proves from and cuts tiles from. */
export class TreeNodes {
  readonly #levels: Buffer[] = [];

  readonly write: NodeWriter = (level, index, node) => {
    const offset = index * hashBytes;
    let nodes = this.#levels[level] ?? Buffer.alloc(64 * hashBytes);
    while (nodes.length < offset + hashBytes) nodes = Buffer.concat([nodes, Buffer.alloc(nodes.length)]);
    this.#levels[level] = nodes;
    nodes.set(node, offset);
  };

  /** INVARIANT: asked only for subtrees that are complete at the size the caller appended. */
  readonly read: NodeReader = (level, index) => {
    const node = this.#levels[level]?.subarray(index * hashBytes, (index + 1) * hashBytes);
    if (node?.length !== hashBytes) throw new RangeError('no such node');
    return node;
  };
}

/** Root of the first `size` leaves. */
export function treeRoot(read: NodeReader, size: number): Buffer {
  return size === 0 ? emptyTreeRoot : rangeHash(read, 0, size);
}

/** MTH(D[start:end]); `start` is a multiple of the largest power of two below `end - start`. */
function rangeHash(read: NodeReader, start: number, end: number): Buffer {
  const width = end - start;
  const level = Math.floor(Math.log2(width));
  if (2 ** level === width && start % width === 0) return Buffer.from(read(level, start / width));
  const middle = start + splitOf(width);
  return hashNode(rangeHash(read, start, middle), rangeHash(read, middle, end));
}

/** The largest power of two smaller than `width` (RFC 6962: k < n <= 2k). */
function splitOf(width: number): number {
  let split = 1;
  while (split * 2 < width) split *= 2;
  return split;
}

/** RFC 6962 section 2.1.1: PATH(index, D[size]). `index < size`. */
export function inclusionProof(read: NodeReader, index: number, size: number): Buffer[] {
  if (!(index >= 0 && index < size)) throw new RangeError('index outside the tree');
  const proof: Buffer[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitOf(end - start);
    if (index < middle) {
      proof.push(rangeHash(read, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(read, start, middle));
      start = middle;
    }
  }
  return proof.toReversed();
}

/** RFC 6962 section 2.1.2: PROOF(from, D[to]). `from <= to`; empty where `from` is 0 or `to`. */
export function consistencyProof(read: NodeReader, from: number, to: number): Buffer[] {
  if (!(from >= 0 && from <= to)) throw new RangeError('sizes out of order');
  if (from === 0 || from === to) return [];
  const proof: Buffer[] = [];
  let start = 0;
  let end = to;
  while (from !== end) {
    const middle = start + splitOf(end - start);
    if (from <= middle) {
      proof.push(rangeHash(read, middle, end));
      end = middle;
    } else {
      proof.push(rangeHash(read, start, middle));
      start = middle;
    }
  }
  if (start !== 0) proof.push(rangeHash(read, start, end));
  return proof.toReversed();
}

/**
 * RFC 9162 section 2.1.3.2: checks that `leafHash` is leaf `index` of the tree of `size` leaves with `root`.
 *
 * @throws {Refusal} `inclusion_invalid`.
 */
export function verifyInclusion(
  leafHash: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): void {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leafHash, root, ...proof])) {
    throw new Refusal('inclusion_invalid', 'not the form of an inclusion proof');
  }
  let position = index;
  let last = size - 1;
  let node: Buffer = Buffer.from(leafHash);
  for (const sibling of proof) {
    if (last === 0) throw new Refusal('inclusion_invalid', 'inclusion proof is too long');
    if (position % 2 === 1 || position === last) {
      node = hashNode(sibling, node);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      node = hashNode(node, sibling);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0 || !node.equals(root)) {
    throw new Refusal('inclusion_invalid', 'inclusion proof leads to another root');
  }
}

/**
 * RFC 9162 section 2.1.4.2: checks that the tree (`to`, `toRoot`) begins with the tree (`from`, `fromRoot`).
 * The empty tree begins every tree: `from` 0 takes an empty proof and the root of the empty tree.
 *
 * @throws {Refusal} `consistency_invalid`.
 */
export function verifyConsistency(
  from: number,
  to: number,
  proof: readonly Uint8Array[],
  fromRoot: Uint8Array,
  toRoot: Uint8Array,
): void {
  if (!isCount(from) || !isCount(to) || from > to || !areHashes([fromRoot, toRoot, ...proof])) {
    throw new Refusal('consistency_invalid', 'not the form of a consistency proof');
  }
  if (from === 0 || from === to) {
    const expected = from === to ? toRoot : emptyTreeRoot;
    if (proof.length > 0 || !Buffer.from(fromRoot).equals(expected)) {
      throw new Refusal('consistency_invalid', 'trees differ');
    }
    return;
  }
  const roots = rootsOf(from, to, proof, fromRoot);
  if (!roots?.from.equals(fromRoot) || !roots.to.equals(toRoot)) {
    throw new Refusal('consistency_invalid', 'consistency proof leads to other roots');
  }
}

function rootsOf(
  from: number,
  to: number,
  proof: readonly Uint8Array[],
  fromRoot: Uint8Array,
): { from: Buffer; to: Buffer } | undefined {
  const path = 2 ** Math.round(Math.log2(from)) === from ? [fromRoot, ...proof] : [...proof];
  const first = path.shift();
  if (first === undefined) return undefined;
  let position = from - 1;
  let last = to - 1;
  while (position % 2 === 1) {
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  let older: Buffer = Buffer.from(first);
  let newer: Buffer = Buffer.from(first);
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (position % 2 === 1 || position === last) {
      older = hashNode(sibling, older);
      newer = hashNode(sibling, newer);
      while (position % 2 === 0 && position !== 0) {
        position /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newer = hashNode(newer, sibling);
    }
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? { from: older, to: newer } : undefined;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(values: readonly Uint8Array[]): boolean {
  return values.every((value) => value.length === hashBytes);
}
