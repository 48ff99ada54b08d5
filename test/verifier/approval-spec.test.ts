import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePublicJwk } from '@bulla/verifier';
import { approvalRequest, parseApproval, rootHash, signRoot, verifyJws } from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { ApiWorld } from '../kit/api.ts';
import { unpack } from '../kit/wire.ts';

const spec = readFileSync(join(import.meta.dirname, '../../docs/spec/approval.md'), 'utf8');
/** RFC 8037 appendix A.2. */
const approver = parsePublicJwk({
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
});

test('the approval on the first screen of the specification is what it is said to be', () => {
  const text = /Bulla-Approval: (\S+)/u.exec(spec)?.[1] ?? '';
  const approval = parseApproval(text);
  verifyJws(approval.jws, approver);
  expect(approval.keyThumbprint).toBe(approver.thumbprint);
  const shown = /```json\n(\{[^\n]+\})\n(\{[\s\S]+?\})\n```/u.exec(spec);
  const { header, claims } = unpack(text);
  expect([JSON.parse(shown?.[1] ?? ''), JSON.parse(shown?.[2] ?? '')]).toEqual([header, claims]);
  expect(approval.claims.envelope).toBe(rootHash('root~block'));
});

const world = new ApiWorld();
const envelope = signRoot(world.claims(), world.mint);
const post = {
  method: 'POST',
  url: 'https://api.example/orders/o1?expand=lines&page=2',
  body: '{"amount":100}',
  envelope,
};
test.each([
  ['the request on the first screen', { ...post, headers: { 'Content-Type': 'application/json' } }],
  [
    'the same, `Idempotency-Key: 7` bound',
    { ...post, headers: { 'Content-Type': 'application/json', 'Idempotency-Key': '7' } },
  ],
  [
    '`GET https://api.example/orders/o1`',
    { method: 'GET', url: 'https://api.example/orders/o1', headers: { 'content-type': 'x' }, envelope },
  ],
])('the vector %s holds', (name, request) => {
  expect(spec).toContain(`| ${name} | \`${approvalRequest(request).request}\` |`);
});
