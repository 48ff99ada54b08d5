import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryReplay } from '@bulla/verifier';
import {
  type CheckedProof,
  checkProof,
  checkTokenProof,
  createPublicOrigins,
  readRequest,
} from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../kit/deciding.ts';

interface Vector {
  readonly name: string;
  readonly proof: string;
  readonly method: string | null;
  readonly url: string | null;
  readonly now: number;
  readonly jkt?: string;
  readonly accessToken?: string;
  readonly expected: string;
}

const folder = process.env['BULLA_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors');
const file = join(folder, 'httpsig-dpop/dpop/dpop-vectors.json');
const vectors = existsSync(file)
  ? (JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] }).vectors
  : [];

describe.skipIf(vectors.length === 0)('DPoP proofs made by others', () => {
  test.each(vectors)('$name: $expected', async (vector) => {
    const code = await codeOf(() => checkVector(vector));
    if (vector.method !== null && vector.expected.startsWith('accept')) expect(code).toBe('accepted');
    else expect(code).toMatch(/^proof_/u);
  });

  test('all are here', () => {
    const accepted = vectors.filter(({ expected }) => expected.startsWith('accept'));
    expect(vectors.length).toBeGreaterThanOrEqual(9);
    expect(accepted.length).toBeGreaterThanOrEqual(3);
    expect(vectors.every(({ expected }) => /accept|reject/u.test(expected))).toBe(true);
  });

  test('two proofs with one jti: the second is a replay', async () => {
    const [first, second] = vectors.filter(({ name }) => name.includes('Fig 5') || name.includes('Fig 7'));
    if (first === undefined || second === undefined) throw new Error('vectors have changed');
    const store = memoryReplay({ processes: 1, startedAt: 0 });
    await store.claim(checkVector(first), first.now);
    const again = { ...checkVector(second), issuedAt: first.now };
    expect(await codeOf(() => store.claim(again, first.now))).toBe('proof_replayed');
  });
});

function checkVector(vector: Vector): CheckedProof {
  const method = vector.method ?? 'GET';
  const url = new URL(vector.url ?? 'https://api.example/');
  const body = new Uint8Array(0);
  if (vector.accessToken === undefined) {
    return checkTokenProof({ proof: vector.proof, method, url: url.href, body, now: vector.now });
  }
  const headers: [string, string][] = [
    ['host', url.host],
    ['authorization', `DPoP ${vector.accessToken}`],
    ['dpop', vector.proof],
  ];
  const request = readRequest(
    { method, target: url.pathname + url.search, headers, body },
    createPublicOrigins([url.origin]),
  );
  return checkProof(request, { holder: vector.jkt ?? '', now: vector.now, route: {} });
}
