import { createSigner, generatePrivateJwk, parsePublicJwk } from '@bulla/verifier';
import {
  hashLeaf,
  parseEntryBundle,
  signRequest,
  tilePath,
  type VerifiedCheckpoint,
  verifyCheckpoint,
} from '@bulla/verifier/log';
import { policySetBytes, policySetDigest } from '@bulla/verifier/policy';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { notesPolicy } from '../kit/api.ts';
import { IssuerWorld, readToken } from '../kit/issuer.ts';

let world: IssuerWorld;
beforeEach(async () => {
  world = await IssuerWorld.create();
});
afterEach(async () => world.remove());

const verified = (note: string): VerifiedCheckpoint =>
  verifyCheckpoint(note, { origin: 'log.example/a', logKey: world.log.signer.publicKey });
const checkpoint = async (): Promise<VerifiedCheckpoint> =>
  verified(await (await world.get('/log/checkpoint', null)).text());
const linesOf = (text: string): Record<string, string>[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
const codeOf = async (response: Response | Promise<Response>): Promise<string> => {
  const answer = await response;
  if (answer.ok) return 'accepted';
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return ((await answer.json()) as { code: string }).code;
};

describe('reading', () => {
  test('the checkpoint is public, signed, and covers every acknowledged entry', async () => {
    const before = Math.floor(world.ports.now());
    world.ledger.group('readers');
    await world.appended(world.ledger.lastLeaf);
    const { size, time } = await checkpoint();
    expect(size).toBe(world.ledger.leaves.length);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(world.ports.now());
  });
  test.each(['/log/entries?from=0', '/log/stream?from=0', '/log/tile/0/000.p/1', '/policies/sha-256:x'])(
    '%s needs a read token',
    async (path) => {
      expect(await codeOf(world.get(path, null))).toBe('read_token_wrong');
      expect(await codeOf(world.get(path, 'wrong'))).toBe('read_token_wrong');
      expect(await codeOf(world.get(path, `${readToken}x`))).toBe('read_token_wrong');
    },
  );
  test('entries come in order, ended by the checkpoint', async () => {
    const response = await world.get('/log/entries?from=2');
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const lines = linesOf(await response.text());
    expect(lines.slice(0, -1).map(({ leaf }) => leaf)).toEqual(world.ledger.leaves.slice(2));
    expect(verified(lines.at(-1)?.['checkpoint'] ?? '').size).toBe(world.ledger.leaves.length);
  });
  test('from the end there is the checkpoint alone', async () => {
    const lines = linesOf(await (await world.get(`/log/entries?from=${world.ledger.leaves.length}`)).text());
    expect(lines.map((line) => Object.keys(line))).toEqual([['checkpoint']]);
  });
  test.each(['', '?from=-1', '?from=01', '?from=1.5', '?from=99', '?from=x'])(
    'entries%s is refused',
    async (query) => {
      expect(await codeOf(world.get(`/log/entries${query}`))).toBe('range_invalid');
    },
  );
  test('tiles and bundles are those of the log', async () => {
    const size = world.ledger.leaves.length;
    const hashes = await world.get(`/log/tile/${tilePath({ level: 0, index: 0, width: size })}`);
    const leaves = world.ledger.leaves.map((leaf) => Buffer.from(leaf));
    expect(Buffer.from(await hashes.arrayBuffer())).toEqual(Buffer.concat(leaves.map(hashLeaf)));
    const bundle = await world.get(`/log/tile/${tilePath({ level: 'entries', index: 0, width: size })}`);
    expect(parseEntryBundle(Buffer.from(await bundle.arrayBuffer()), size)).toEqual(leaves);
    const beyond = { level: 'entries', index: 0, width: size + 1 } as const;
    expect(await codeOf(world.get(`/log/tile/${tilePath(beyond)}`))).toBe('tile_unknown');
    expect(await codeOf(world.get('/log/tile/0/0'))).toBe('tile_name_invalid');
  });
  test('a policy set is served by digest in its canonical bytes', async () => {
    const digest = policySetDigest(notesPolicy);
    const response = await world.get(`/policies/${digest}`);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(policySetBytes(notesPolicy));
    expect(await codeOf(world.get('/policies/sha-256:unknown'))).toBe('document_unknown');
  });
  test('other methods and paths are refused', async () => {
    const { app } = world.issuer;
    expect(await codeOf(app.request(`${world.base}/log/checkpoint`, { method: 'DELETE' }))).toBe(
      'method_refused',
    );
    expect((await app.request(`${world.base}/log/checkpoint`, { method: 'HEAD' })).status).toBe(405);
    expect(await codeOf(app.request('/nowhere'))).toBe('path_unknown');
    expect(await codeOf(app.request('/a/acct_x/log/checkpoint'))).toBe('account_unknown');
  });
});

describe('appending', () => {
  test('is acknowledged with the new head, under a checkpoint that covers it', async () => {
    world.ledger.group('ops');
    const response = await world.postLeaf(world.ledger.lastLeaf);
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({
      seq: world.ledger.leaves.length - 1,
      size: world.ledger.leaves.length,
      head: world.ledger.position.prevHash,
    });
    expect((await checkpoint()).size).toBe(world.ledger.leaves.length);
  });
  test('on an old head is refused with the current one', async () => {
    const { size, prevHash } = { size: world.ledger.leaves.length, prevHash: world.ledger.position.prevHash };
    const late = world.ledger.sign({ op: { type: 'group.create', group: 'late', protected: false } });
    world.ledger.group('first');
    await world.appended(world.ledger.lastLeaf);
    const response = await world.postLeaf(late);
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({
      code: 'head_moved',
      size: size + 1,
      head: world.ledger.position.prevHash,
    });
    expect(prevHash).not.toBe(world.ledger.position.prevHash);
  });
  test('by many at once lets one of them win, and all who sign again get in', async () => {
    const { ledger } = world;
    const rivals = Array.from({ length: 12 }, (_, index) =>
      ledger.sign({ op: { type: 'group.create', group: `g${index}`, protected: false } }),
    );
    const statuses = await Promise.all(rivals.map(async (leaf) => (await world.postLeaf(leaf)).status));
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(11);
    const winner = rivals[statuses.indexOf(201)] ?? '';
    const lines = linesOf(await (await world.get(`/log/entries?from=${ledger.leaves.length}`)).text());
    expect(lines[0]?.['leaf']).toBe(winner);
  });
  test('what breaks a rule is refused and leaves no trace', async () => {
    const mallory = createSigner(generatePrivateJwk());
    const forged = world.ledger.sign({ op: { type: 'group.create', group: 'x', protected: false } }, mallory);
    const before = (await checkpoint()).size;
    expect(await codeOf(world.postLeaf(forged))).toBe('rule_signer_unknown');
    expect((await checkpoint()).size).toBe(before);
  });
  test('an entry ahead of the clock is refused', async () => {
    world.ledger.time += 60;
    world.ledger.group('later');
    expect(await codeOf(world.postLeaf(world.ledger.lastLeaf))).toBe('entry_time_off');
  });
  test('an entry far behind the clock is refused', async () => {
    world.ahead = 3600;
    world.ledger.group('earlier');
    expect(await codeOf(world.postLeaf(world.ledger.lastLeaf))).toBe('entry_time_off');
  });
  test('a policy without its set, and a set without its policy, are refused', async () => {
    const other = { ...notesPolicy, policies: {} };
    world.ledger.policy('main', policySetDigest(other));
    const leaf = world.ledger.lastLeaf;
    expect(await codeOf(world.post('/log/entries', { leaf }))).toBe('document_missing');
    expect(await codeOf(world.post('/log/entries', { leaf, documents: [notesPolicy] }))).toBe(
      'document_unused',
    );
    expect(await codeOf(world.post('/log/entries', { leaf, documents: [other] }))).toBe('accepted');
  });
  test('bodies are held to their form and size', async () => {
    const { app } = world.issuer;
    const headers = { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' };
    const send = async (body: string, more: Record<string, string> = {}) =>
      codeOf(
        app.request(`${world.base}/log/requests`, { method: 'POST', headers: { ...headers, ...more }, body }),
      );
    expect(await send('{"request":1}')).toBe('body_invalid');
    expect(await send('{"request":"x","more":1}')).toBe('body_invalid');
    expect(await send('{"request":"x","request":"y"}')).toBe('json_invalid');
    expect(await send('{}', { 'content-type': 'text/plain' })).toBe('body_invalid');
    expect(await send('{}', { 'content-encoding': 'gzip' })).toBe('body_invalid');
    expect(await send('x'.repeat(200_000))).toBe('body_too_large');
    expect(await codeOf(world.post('/log/entries', { leaf: 'x' }, null))).toBe('read_token_wrong');
  });
});

describe('requests', () => {
  test('of an owner are wrapped by the delegate and take effect', async () => {
    const { ledger, alice, agent } = world;
    const op = { type: 'agent.suspend', agent: agent.id } as const;
    const request = ledger.signRequest(op, `agent/${agent.id}`, alice.signer);
    expect(await codeOf(world.post('/log/requests', { request }))).toBe('accepted');
    expect(((await (await world.token()).json()) as { code: string }).code).toBe('client_inactive');
  });
  test('many at once are all wrapped, one after the other', async () => {
    const { ledger, alice } = world;
    const requests = Array.from({ length: 6 }, (_, index) => {
      const signer = createSigner(generatePrivateJwk());
      const op = {
        type: 'agent.register',
        owner: alice.id,
        kind: 'autonomous',
        key: signer.publicKey.jwk,
      } as const;
      const version = ledger.read(`principal/${alice.id}`)?.version ?? 0;
      const draft = {
        account: ledger.account,
        op,
        subject: `principal/${alice.id}`,
        subjectVersion: version + index,
        notAfter: ledger.time + 600,
      };
      return signRequest(draft, alice.signer, [signer]);
    });
    const codes = await Promise.all(
      requests.map(async (request) => codeOf(world.post('/log/requests', { request }))),
    );
    expect(codes).toEqual(requests.map(() => 'accepted'));
    expect((await checkpoint()).size).toBe(ledger.leaves.length + 6);
  });
  test('without a lease of the delegate are refused', async () => {
    const { ledger, alice, agent } = world;
    ledger.do({ type: 'delegate.revoke', key: world.delegate.signer.publicKey.thumbprint });
    await world.appended(ledger.lastLeaf);
    const request = ledger.signRequest(
      { type: 'agent.suspend', agent: agent.id },
      `agent/${agent.id}`,
      alice.signer,
    );
    expect(await codeOf(world.post('/log/requests', { request }))).toBe('relay_unavailable');
  });
});

test('checkpoints never go back when the clock does, and still cover what is appended', async () => {
  const before = await checkpoint();
  world.ahead = -3;
  await world.restart();
  world.ledger.group('after');
  await world.appended(world.ledger.lastLeaf);
  const after = await checkpoint();
  expect(after.time).toBeGreaterThanOrEqual(before.time);
  expect(after.size).toBe(before.size + 1);
});

test('the log key of the checkpoint is the one in genesis', () => {
  expect(parsePublicJwk(world.log.signer.publicKey.jwk).thumbprint).toBe(
    world.ledger.read('account')?.logKey,
  );
});
