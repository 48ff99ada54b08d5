import { createHash } from 'node:crypto';
import { emptyStateRoot, StateMap, verifyStateProof } from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';

function mapOf(entries: Iterable<readonly [string, number]>): StateMap {
  const map = new StateMap();
  for (const [key, value] of entries) map.set(key, { value });
  return map;
}

const contents = fc.dictionary(fc.string({ maxLength: 4 }), fc.nat(), { maxKeys: 60 });

function flip(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

describe('state map', () => {
  test('a map without keys has the empty root', () => {
    expect(new StateMap().root()).toEqual(emptyStateRoot);
  });

  test('the root depends on the contents alone: neither on order nor on what stood there before', () => {
    fc.assert(
      fc.property(contents, fc.infiniteStream(fc.nat()), (values, random) => {
        const entries = Object.entries(values);
        const shuffled = entries
          .map((entry) => ({ entry, rank: random.next().value as number }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ entry }) => entry);
        const other = mapOf(shuffled.map(([key]) => [key, -1] as const));
        other.root();
        for (const [key, value] of shuffled) other.set(key, { value });
        expect(other.root()).toEqual(mapOf(entries).root());
        expect(other.count).toBe(entries.length);
      }),
    );
  });

  test('another value, another key or one key more gives another root', () => {
    const roots = [
      mapOf([['a', 1]]),
      mapOf([['a', 2]]),
      mapOf([['b', 1]]),
      mapOf([
        ['a', 1],
        ['b', 1],
      ]),
      new StateMap(),
    ].map((map) => map.root().toString('hex'));
    expect(new Set(roots).size).toBe(roots.length);
  });

  test('presence and absence are proved, and nothing else is', () => {
    fc.assert(
      fc.property(
        contents,
        fc.string({ maxLength: 4 }),
        fc.nat({ max: 255 }),
        fc.nat(),
        (values, asked, bit, pick) => {
          const map = mapOf(Object.entries(values));
          const root = map.root();
          const keys = Object.keys(values);
          const key = keys.length > 0 && pick % 2 === 0 ? (keys[pick % keys.length] as string) : asked;
          const value = Object.hasOwn(values, key) ? { value: values[key] as number } : undefined;
          const proof = map.prove(key);
          verifyStateProof(root, key, value, proof);
          const lies = [
            () => verifyStateProof(root, key, value === undefined ? { value: 1 } : undefined, proof),
            () => verifyStateProof(flip(root, bit), key, value, proof),
            () => verifyStateProof(root, key, value, { ...proof, siblings: [...proof.siblings, root] }),
            ...proof.siblings.map((_, spoiled) => () => {
              const siblings = proof.siblings.map((part, at) => (at === spoiled ? flip(part, bit) : part));
              verifyStateProof(root, key, value, { ...proof, siblings });
            }),
            ...(value === undefined ? [] : [() => verifyStateProof(root, key, { value: -1 }, proof)]),
          ];
          for (const lie of lies) expect(codeOf(lie)).toBe('state_proof_invalid');
        },
      ),
    );
  });

  const sha256 = (...parts: Uint8Array[]): Buffer =>
    createHash('sha256').update(Buffer.concat(parts)).digest();

  test('a proof of absence may not end in the leaf of the key itself', () => {
    const map = mapOf(Array.from({ length: 50 }, (_, index) => [`k${index}`, index] as const));
    const proof = map.prove('k1');
    const other = { path: sha256(Buffer.from('k1')), valueHash: sha256(Buffer.from('{"value":1}')) };
    verifyStateProof(map.root(), 'k1', { value: 1 }, proof);
    expect(codeOf(() => verifyStateProof(map.root(), 'k1', undefined, { ...proof, other }))).toBe(
      'state_proof_invalid',
    );
  });

  test('a proof of absence may not end in a leaf that was put where it does not belong', () => {
    const path = sha256(Buffer.from('k1'));
    const other = { path: Buffer.from(path), valueHash: Buffer.alloc(32) };
    other.path[0] = (path[0] as number) ^ 0x80;
    const leaf = sha256(Buffer.of(0x10), other.path, other.valueHash);
    const sibling = Buffer.alloc(32, 1);
    const [left, right] = (path[0] as number) < 0x80 ? [leaf, sibling] : [sibling, leaf];
    const root = sha256(Buffer.of(0x11), left, right);
    expect(codeOf(() => verifyStateProof(root, 'k1', undefined, { siblings: [sibling], other }))).toBe(
      'state_proof_invalid',
    );
  });

  test('more than 64 siblings are refused before anything is hashed', () => {
    const siblings = Array.from({ length: 65 }, () => Buffer.alloc(32));
    expect(codeOf(() => verifyStateProof(Buffer.alloc(32), 'a', undefined, { siblings }))).toBe(
      'state_proof_too_long',
    );
  });
});
