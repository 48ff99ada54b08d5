import { readFileSync } from 'node:fs';
import { createSigner, parsePublicJwk } from '@bulla/verifier';
import type { Json } from '@bulla/verifier/envelope';
import {
  CompactRange,
  hashLeaf,
  inclusionProof,
  StateMap,
  signCheckpoint,
  TreeNodes,
  verifyCheckpoint,
  verifyInclusion,
  verifyStateProof,
} from '@bulla/verifier/log';
import { expect, test } from 'vitest';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../vectors/log/${name}`, import.meta.url), 'utf8'));
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
const text = (hash: Buffer): string => hash.toString('base64');

interface TreeVectors {
  leaves: string[];
  roots: string[];
  inclusion: { index: number; size: number; proof: string[] }[];
}
interface StateVectors {
  empty: string;
  steps: { key: string; value: Json; root: string }[];
  proofs: {
    key: string;
    value: Json;
    proof: { siblings: string[]; other?: { path: string; valueHash: string } };
  }[];
}
interface CheckpointVector {
  origin: string;
  logKey: { kty: 'OKP'; crv: 'Ed25519'; x: string };
  size: number;
  root: string;
  state: string;
  time: number;
  note: string;
}

test('tree: roots and inclusion proofs', () => {
  const { leaves, roots, inclusion } = read('tree.json') as TreeVectors;
  const nodes = new TreeNodes();
  const range = new CompactRange();
  expect(text(range.root())).toBe(roots[0]);
  for (const [index, leaf] of leaves.entries()) {
    range.append(hashLeaf(Buffer.from(leaf)), nodes.write);
    expect(text(range.root())).toBe(roots[index + 1]);
  }
  for (const { index, size, proof } of inclusion) {
    expect(inclusionProof(nodes.read, index, size).map(text)).toEqual(proof);
    const leaf = hashLeaf(Buffer.from(leaves[index] ?? ''));
    verifyInclusion(leaf, index, size, proof.map(bytes), bytes(roots[size] ?? ''));
  }
});

test('state map: roots after each key, proofs of presence and of absence', () => {
  const { empty, steps, proofs } = read('state-map.json') as StateVectors;
  const map = new StateMap();
  expect(text(map.root())).toBe(empty);
  for (const { key, value, root } of steps) {
    map.set(key, value);
    expect(text(map.root())).toBe(root);
  }
  for (const { key, value, proof } of proofs) {
    const { siblings, other } = map.prove(key);
    const shown = other && { path: text(other.path), valueHash: text(other.valueHash) };
    expect({ siblings: siblings.map(text), ...(shown ? { other: shown } : {}) }).toEqual(proof);
    verifyStateProof(map.root(), key, value ?? undefined, map.prove(key));
  }
  expect(proofs.map(({ value, proof }) => `${value !== null} ${proof.other !== undefined}`)).toContain(
    'false false',
  );
});

test('checkpoint: the note, byte for byte', () => {
  const vector = read('checkpoint.json') as CheckpointVector;
  const { origin, size, time, note } = vector;
  const logKey = parsePublicJwk(vector.logKey);
  const said = { origin, size, root: bytes(vector.root), state: bytes(vector.state) };
  expect(verifyCheckpoint(note, { origin, logKey })).toEqual({ ...said, time, note });
  // RFC 8032 section 7.1, test 1.
  const signer = createSigner({ ...vector.logKey, d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' });
  expect(signCheckpoint(said, time, signer)).toBe(note);
});
