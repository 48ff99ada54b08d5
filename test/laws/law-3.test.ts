import { createHook } from 'node:async_hooks';
import { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readNote } from '../kit/api.ts';
import { Doctored } from './doctored.ts';
import { Api } from './hostile.ts';

// Law 3: no call on the request path. The view is that of a real follower, whose background work has ended.

let doctored: Doctored;
let api: Api;
beforeEach(async () => {
  doctored = await Doctored.open();
  const reader = await doctored.reader();
  api = reader.api;
  await reader.follower.close();
});
afterEach(async () => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  await doctored.close();
});

/** One decision of each kind: allowed, denied, refused at every depth. */
async function decideEverything(): Promise<void> {
  const { world } = doctored;
  const holder = world.agent.signer;
  expect(await api.outcome(world.envelope(), holder)).toBe('allow');
  expect(await api.outcome(world.envelope(), holder, readNote('1', 'secret'))).toBe('deny');
  expect(await api.outcome('a.b.c', holder)).toBe('encoding_invalid');
  expect(await api.outcome(world.envelope({ policy: 'sha-256:unheard-of' }), holder)).toBe(
    'policy_superseded',
  );
  expect(await api.outcome(world.envelope({ sub: 'prn_unheard-of' }), holder)).toBe('subject_not_active');
  expect(await api.outcome(world.envelope({ iss: 'https://nowhere.example' }), holder)).toBe('allow');
  world.now += 61;
  expect(await api.outcome(world.envelope(), holder)).toBe('trust_stale');
}

test('law 3: a fetch that throws is never called, and no socket is opened', async () => {
  const fetch = vi.fn(() => {
    throw new Error('a decision called fetch');
  });
  vi.stubGlobal('fetch', fetch);
  const connect = vi.spyOn(Socket.prototype, 'connect').mockImplementation(() => {
    throw new Error('a decision opened a socket');
  });
  await decideEverything();
  expect(fetch).not.toHaveBeenCalled();
  expect(connect).not.toHaveBeenCalled();
});

test('law 3: nothing is asked of the operating system: no socket, no name, no file, no timer', async () => {
  // The first decision starts the policy engine.
  expect(await api.outcome(doctored.world.envelope(), doctored.world.agent.signer)).toBe('allow');
  const started: string[] = [];
  const hook = createHook({
    init: (_id, type) => {
      if (type !== 'PROMISE') started.push(type);
    },
  }).enable();
  try {
    await decideEverything();
  } finally {
    hook.disable();
  }
  // What remains is `node:crypto`, in the same turn: the proofs are made here too.
  expect(
    started.filter(
      (type) => !/^(?:TickObject|Microtask|SIGNREQUEST|VERIFYREQUEST|RANDOMBYTESREQUEST)$/u.test(type),
    ),
  ).toEqual([]);
});

test('law 3: what is not known yet is refused, not fetched', async () => {
  const digest = doctored.world.ledger.read('slot/main')?.digest ?? '';
  doctored.log.policies.delete(digest);
  const follower = doctored.follow();
  await follower.ready;
  const before = doctored.log.requests.length;
  await follower.close();
  const blind = new Api(follower.trust, () => doctored.now);
  expect(await doctored.outcome(blind)).toBe('policy_unavailable');
  expect(doctored.log.requests.length).toBe(before);
});
