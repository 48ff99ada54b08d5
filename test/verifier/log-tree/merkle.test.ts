import { Refusal } from '@bulla/verifier';
import {
  CompactRange,
  consistencyProof,
  emptyTreeRoot,
  hashLeaf,
  inclusionProof,
  TreeNodes,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { absent, jsonFiles } from './vectors.ts';

function treeOf(size: number): { nodes: TreeNodes; range: CompactRange; roots: Buffer[] } {
  const nodes = new TreeNodes();
  const range = new CompactRange();
  const roots = [range.root()];
  for (let index = 0; index < size; index += 1) {
    range.append(hashLeaf(Buffer.from(`leaf ${index}`)), nodes.write);
    roots.push(range.root());
  }
  return { nodes, range, roots };
}

function flip(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = (bit >> 3) % copy.length;
  copy[index] = (copy[index] as number) ^ (1 << (bit & 7));
  return copy;
}

const tree = treeOf(150);
const sizes = fc.tuple(fc.integer({ min: 1, max: 150 }), fc.nat(), fc.nat({ max: 100_000 }));

describe('tree', () => {
  test('the empty root is SHA-256 of nothing', () => {
    expect(emptyTreeRoot.toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(new CompactRange().root()).toEqual(emptyTreeRoot);
  });

  test('the compact range and the stored nodes give the same root at every size', () => {
    for (let size = 0; size <= 150; size += 1) {
      expect(treeRoot(tree.nodes.read, size)).toEqual(tree.roots[size]);
    }
  });

  test('a clone goes its own way', () => {
    const one = treeOf(5).range;
    const other = one.clone();
    other.append(hashLeaf(Buffer.from('x')));
    expect(one.root()).toEqual(tree.roots[5]);
    expect(other.size).toBe(6);
  });
});

describe('proofs', () => {
  test('every inclusion proof verifies, and with any flipped bit none does', () => {
    fc.assert(
      fc.property(sizes, ([size, at, bit]) => {
        const index = at % size;
        const leaf = hashLeaf(Buffer.from(`leaf ${index}`));
        const root = tree.roots[size] as Buffer;
        const proof = inclusionProof(tree.nodes.read, index, size);
        verifyInclusion(leaf, index, size, proof, root);
        const wrong = [
          () => verifyInclusion(flip(leaf, bit), index, size, proof, root),
          () => verifyInclusion(leaf, index, size, proof, flip(root, bit)),
          () => verifyInclusion(leaf, index, size, [...proof, root], root),
          () => verifyInclusion(leaf, index + 1, size, proof, root),
          ...proof.map((_, spoiled) => () => {
            const parts = proof.map((part, other) => (other === spoiled ? flip(part, bit) : part));
            verifyInclusion(leaf, index, size, parts, root);
          }),
          ...(proof.length > 0 ? [() => verifyInclusion(leaf, index, size, proof.slice(1), root)] : []),
        ];
        for (const attempt of wrong) expect(codeOf(attempt)).toBe('inclusion_invalid');
      }),
    );
  });

  test('every consistency proof verifies, and with any flipped bit none does', () => {
    fc.assert(
      fc.property(sizes, ([to, at, bit]) => {
        const from = at % (to + 1);
        const [older, newer] = [tree.roots[from] as Buffer, tree.roots[to] as Buffer];
        const proof = consistencyProof(tree.nodes.read, from, to);
        verifyConsistency(from, to, proof, older, newer);
        const wrong = [
          () => verifyConsistency(from, to, proof, flip(older, bit), newer),
          ...(from === 0 ? [] : [() => verifyConsistency(from, to, proof, older, flip(newer, bit))]),
          () => verifyConsistency(from, to, [...proof, newer], older, newer),
          ...proof.map((_, spoiled) => () => {
            const parts = proof.map((part, other) => (other === spoiled ? flip(part, bit) : part));
            verifyConsistency(from, to, parts, older, newer);
          }),
        ];
        for (const attempt of wrong) expect(codeOf(attempt)).toBe('consistency_invalid');
      }),
    );
  });
});

interface InclusionVector {
  leafIdx: number;
  treeSize: number;
  root: string | null;
  leafHash: string | null;
  proof: string[] | null;
  wantErr: boolean;
}
interface ConsistencyVector {
  size1: number;
  size2: number;
  root1: string | null;
  root2: string | null;
  proof: string[] | null;
  wantErr: boolean;
}
const bytes = (text: string | null): Buffer => Buffer.from(text ?? '', 'base64');
const accepts = (run: () => void): boolean => {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
};

describe.skipIf(absent)('vectors of transparency-dev/merkle', () => {
  test('inclusion', () => {
    const vectors = jsonFiles('merkle-proofs/inclusion');
    expect(vectors.length).toBeGreaterThan(40);
    for (const { name, value } of vectors) {
      const v = value as InclusionVector;
      const run = (): void =>
        verifyInclusion(bytes(v.leafHash), v.leafIdx, v.treeSize, (v.proof ?? []).map(bytes), bytes(v.root));
      expect(accepts(run), name).toBe(!v.wantErr);
    }
  });

  test('consistency', () => {
    const vectors = jsonFiles('merkle-proofs/consistency');
    expect(vectors.length).toBeGreaterThan(40);
    for (const { name, value } of vectors) {
      const v = value as ConsistencyVector;
      const run = (): void =>
        verifyConsistency(v.size1, v.size2, (v.proof ?? []).map(bytes), bytes(v.root1), bytes(v.root2));
      // Those vectors refuse every proof from the empty tree; here the empty tree begins every tree.
      const fromEmpty = v.size1 === 0 && bytes(v.root1).equals(emptyTreeRoot) && v.proof === null;
      expect(accepts(run), name).toBe(!v.wantErr || fromEmpty);
    }
  });
});
