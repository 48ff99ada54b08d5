import { emptyStateRoot, StateMap, verifyStateProof } from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from './code-of.ts';

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

  test('a proof of absence may not end in the leaf of the key itself, nor of one that stands elsewhere', () => {
    const map = mapOf(Array.from({ length: 50 }, (_, index) => [`k${index}`, index] as const));
    const absent = map.prove('absent');
    const present = map.prove('k1');
    const ownLeaf = { path: map.prove('k1').siblings[0] as Buffer, valueHash: Buffer.alloc(32) };
    expect(codeOf(() => verifyStateProof(map.root(), 'k1', undefined, present))).toBe('state_proof_invalid');
    expect(codeOf(() => verifyStateProof(map.root(), 'k1', undefined, { ...present, other: ownLeaf }))).toBe(
      'state_proof_invalid',
    );
    expect(codeOf(() => verifyStateProof(map.root(), 'k1', undefined, absent))).toBe('state_proof_invalid');
  });

  test('more than 64 siblings are refused before anything is hashed', () => {
    const siblings = Array.from({ length: 65 }, () => Buffer.alloc(32));
    expect(codeOf(() => verifyStateProof(Buffer.alloc(32), 'a', undefined, { siblings }))).toBe(
      'state_proof_too_long',
    );
  });
});
