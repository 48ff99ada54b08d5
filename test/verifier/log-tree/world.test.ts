import { TreeNodes, treeRoot, World } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, newSigner } from '../../kit/log.ts';

test('the same leaves give the same world, by one or by many at a time', () => {
  const ledger = createLedger();
  for (let index = 0; index < 20; index += 1) ledger.group(`g${index}`);
  const nodes = new TreeNodes();
  const single = new World({ account: ledger.account, onNode: nodes.write });
  for (const leaf of ledger.leaves) single.append(leaf);
  const many = new World({ account: ledger.account });
  const draft = many.draft();
  for (const leaf of ledger.leaves) draft.append(leaf);
  expect([many.size, many.read('group/g1')]).toEqual([0, undefined]);
  draft.commit();
  expect(many.treeRoot()).toEqual(single.treeRoot());
  expect(many.stateRoot()).toEqual(single.stateRoot());
  expect(treeRoot(nodes.read, 21)).toEqual(single.treeRoot());
  expect(single.head).toBe(ledger.position.prevHash);
  expect(new Map(many.records())).toEqual(ledger.state);
});

test('a leaf that breaks a rule is in the tree and changes nothing else', () => {
  const ledger = createLedger();
  const world = new World({ account: ledger.account });
  world.append(ledger.lastLeaf);
  const state = world.stateRoot();
  const op = { type: 'group.create', group: 'evil', protected: false } as const;
  const { seq, refusal, change } = world.append(ledger.sign({ op }, newSigner()));
  expect([seq, refusal?.code, change]).toEqual([1, 'rule_signer_unknown', undefined]);
  expect([world.size, world.stateRoot()]).toEqual([2, state]);
});

test('the genesis must be the account itself', () => {
  const ledger = createLedger();
  const world = new World({ account: createLedger().account });
  expect(codeOf(() => world.append(ledger.lastLeaf))).toBe('genesis_mismatch');
  expect(world.size).toBe(0);
});

test('a draft is committed onto the world that it was begun on, or not at all', () => {
  const ledger = createLedger();
  const world = new World({ account: ledger.account });
  world.append(ledger.lastLeaf);
  const [one, other] = [world.draft(), world.draft()];
  ledger.group('crew');
  one.append(ledger.lastLeaf);
  other.append(ledger.lastLeaf);
  one.commit();
  expect(() => other.commit()).toThrow('moved on');
  expect(world.size).toBe(2);
});
