import { type AgentCode, AgentError, fetchPolicySet } from '@bulla/agent';
import type { Ports } from '@bulla/verifier';
import { policySetBytes, policySetDigest } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { notesPolicy as document } from '../kit/api.ts';

async function failure(run: () => Promise<unknown>): Promise<AgentError> {
  const error: unknown = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof AgentError) return error;
  throw error ?? new Error('nothing was refused');
}

describe('a policy set from the issuer', () => {
  const digest = policySetDigest(document);
  const issuer = 'https://issuer.example/a/acct_x';
  const answering = (answer: () => Response) => {
    const seen: { url: string; init: RequestInit | undefined }[] = [];
    const fetch: Ports['fetch'] = async (url, init) => {
      seen.push({ url: String(url instanceof Request ? url.url : url), init });
      return answer();
    };
    return { seen, location: { issuer, digest, readToken: 'token', ports: { fetch } } };
  };
  const good = () => new Response(new Uint8Array(policySetBytes(document)));

  test('is fetched by its digest, with the read token, and without following redirects', async () => {
    const { seen, location } = answering(good);
    expect(await fetchPolicySet(location)).toEqual(document);
    expect(seen[0]?.url).toBe(`${issuer}/policies/${digest}`);
    expect(seen[0]?.init).toMatchObject({ redirect: 'manual', headers: { authorization: 'Bearer token' } });
  });

  test.each<[string, () => Response, AgentCode]>([
    [
      'another set',
      () => new Response(new Uint8Array(policySetBytes({ ...document, policies: {} }))),
      'schema_unusable',
    ],
    ['no set', () => new Response('{}'), 'schema_unusable'],
    ['too much', () => new Response('x'.repeat(2_097_153)), 'schema_unusable'],
    ['no', () => new Response('', { status: 401 }), 'schema_unusable'],
    ['a redirect', () => Response.redirect('https://elsewhere.example', 302), 'schema_unusable'],
    ['a fault', () => new Response('', { status: 503 }), 'issuer_unreachable'],
  ])('is refused where the answer is %s', async (_, answer, code) => {
    expect((await failure(() => fetchPolicySet(answering(answer).location))).code).toBe(code);
  });

  test('is never fetched over plain http', async () => {
    const { location, seen } = answering(good);
    const plain = { ...location, issuer: 'http://issuer.example/a/acct_x' };
    expect((await failure(() => fetchPolicySet(plain))).code).toBe('config_invalid');
    expect(seen).toEqual([]);
  });
});
