import { canonicalJson } from '@bulla/verifier/envelope';
import { leafHash } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { useStage } from './stage.ts';

const stage = useStage();

function publish(name: string, slot = 'main'): string {
  const bytes = Buffer.from(canonicalJson({ version: 1, policies: {}, schema: { [name]: schema } }));
  const digest = `sha-256:${leafHash(bytes.toString())}`;
  stage().log.policies.set(digest, bytes);
  stage().log.ledger.policy(slot, digest);
  stage().log.publish();
  return digest;
}

const schema = { entityTypes: {}, actions: {} };

test('a policy set is there as soon as its digest is current', async () => {
  const first = publish('A');
  const follower = stage().follow();
  await follower.until((trust) => trust.policySet(first) !== undefined);
  const second = publish('B');
  await follower.until((trust) => trust.read('slot/main')?.digest === second);
  expect(follower.trust.policySet(second)?.schema).toEqual({ B: schema });
});

test('a set that is not what the log names is refused, and fetched again', async () => {
  const digest = publish('A');
  const bytes = stage().log.policies.get(digest) as Buffer;
  stage().log.policies.set(digest, Buffer.from(bytes.toString().replace('A', 'B')));
  const follower = stage().follow();
  await stage().alarmed('policy_document_invalid');
  expect(follower.trust.policySet(digest)).toBeUndefined();
  stage().log.policies.set(digest, bytes);
  await follower.until((trust) => trust.policySet(digest) !== undefined);
});

test('a set that no slot names any more is dropped', async () => {
  const first = publish('A');
  const follower = stage().follow();
  await follower.until((trust) => trust.policySet(first) !== undefined);
  stage().log.ledger.do({ type: 'policy.retire', slot: 'main' });
  stage().log.publish();
  await follower.until((trust) => trust.policySet(first) === undefined);
  expect(follower.trust.read('slot/main')?.status).toBe('retired');
});
