import {
  type ApprovalRequest,
  approvalRequest,
  readApprovalRequest,
  signApproval,
} from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { PaymentsWorld } from '../../kit/payments.ts';
import { unpack } from '../../kit/wire.ts';

const world = new PaymentsWorld();
const paid = { amount: 6000, envelope: world.api.envelope() };
const sent = approvalRequest(world.described(paid));
const withheld = approvalRequest({ ...world.described(paid), withholdBody: true });
const outcome = (change: Partial<ApprovalRequest> & Record<string, unknown>) =>
  codeOf(() => readApprovalRequest({ ...sent, ...change }));
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

test('what was described is shown as it is', () => {
  expect(outcome({})).toBe('accepted');
  expect(readApprovalRequest(sent)).toMatchObject({ method: 'POST', url: sent.url, request: sent.request });
});

test.each([
  ['host in other letters', 'https://API.example/payments?currency=EUR'],
  ['default port', 'https://api.example:443/payments?currency=EUR'],
  ['dot segments', 'https://api.example/refunds/../payments?currency=EUR'],
  ['backslash', 'https://api.example\\payments?currency=EUR'],
  ['white space', ' https://api.example/payments?currency=EUR'],
  ['fragment', 'https://api.example/payments?currency=EUR#/refunds'],
  ['user', 'https://bank.example@api.example/payments?currency=EUR'],
])('a URL in another spelling of the same hash is not shown: %s', (_, url) => {
  expect(outcome({ url })).toBe('approval_request_invalid');
});

test.each<[string, Partial<ApprovalRequest> & Record<string, unknown>]>([
  ['another account than the root block has', { account: `acct_${'A'.repeat(43)}` }],
  ['another method', { method: 'PUT' }],
  ['another query', { url: 'https://api.example/payments?currency=USD' }],
  ['another content type', { headers: { 'content-type': 'text/plain' } }],
  ['a further field', { headers: { ...sent.headers, 'x-note': 'urgent' } }],
  ['other content', { body: base64url('{"amount":1}') }],
  ['content that is not canonical base64url', { body: `${sent.body}=` }],
  ['the digest of other content', { content_digest: 'sha-256=:AAAA:' }],
  ['another envelope', { envelope: 'A'.repeat(43) }],
  ['another root block', { root: world.api.envelope() }],
  ['a root block that is none', { root: 'x.y.z' }],
  ['another version', { version: 2 as never }],
  ['a member that nobody knows', { note: 'urgent' }],
])('what does not fit its hashes is not shown: %s', (_, change) => {
  expect(outcome(change)).toBe('approval_request_invalid');
});

test('content that nobody saw is not signed, unless somebody insists', () => {
  const options = { signer: world.bob.signer, now: world.api.now };
  const shown = readApprovalRequest(withheld);
  expect(shown.body).toBeUndefined();
  expect(codeOf(() => signApproval(shown, options))).toBe('approval_request_invalid');
  const unseen = { ...options, dangerouslyUnseenBody: true };
  expect(codeOf(() => signApproval(shown, unseen))).toBe('accepted');
});

test('an approval ends with the envelope at the latest, and is not signed after', () => {
  const shown = readApprovalRequest(sent);
  const { exp } = shown.root;
  const approval = signApproval(shown, { signer: world.bob.signer, now: exp - 60, lifetimeSeconds: 3600 });
  expect(unpack(approval).claims['exp']).toBe(exp);
  expect(codeOf(() => signApproval(shown, { signer: world.bob.signer, now: exp }))).toBe(
    'approval_request_invalid',
  );
});

test('nothing is signed that was not read here', () => {
  const shown: ReturnType<typeof readApprovalRequest> = Object.assign({}, readApprovalRequest(sent));
  expect(() => signApproval(shown, { signer: world.bob.signer, now: world.api.now })).toThrow(TypeError);
});
