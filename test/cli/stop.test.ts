import { existsSync } from 'node:fs';
import { createAgent } from '@bulla/agent';
import { type PrivateJwk, systemPorts } from '@bulla/verifier';
import { agentIsLive, createFollower } from '@bulla/verifier/log';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newSigner } from '../kit/log.ts';
import { type DocumentsApi, deskWithApi } from './api.ts';
import type { Desk } from './desk.ts';

let desk: Desk;
let api: DocumentsApi;
beforeEach(async () => {
  ({ desk, api } = await deskWithApi());
});
afterEach(async () => {
  await api.close();
  await desk.close();
});

describe('with the issuer down', () => {
  test('a stop to a URL reaches the verifier at once', async () => {
    const { privateKey } = JSON.parse(desk.read(`home/keys/${api.key}.json`)) as { privateKey: PrivateJwk };
    const agent = createAgent({
      issuer: `${desk.url}/a/${desk.account().account}`,
      clientId: api.agent,
      key: privateKey,
      resource: `${api.origin}/`,
      origins: [api.origin],
    });
    const prove = async (): Promise<Response> => {
      const url = `${api.origin}/documents/7`;
      return fetch(url, { headers: { ...(await agent.prove({ method: 'GET', url })) } });
    };
    expect((await prove()).status).toBe(200);
    await desk.issuer?.close();
    const stopped = await desk.json('stop', api.agent, '--to', api.stopUrl);
    expect(stopped).toMatchObject({
      done: 'agent.suspend',
      delivered: [{ target: api.stopUrl }],
      log: expect.stringMatching(/^not seen: /u),
    });
    expect(api.follower.trust.stopped(`agent/${api.agent}`)).toBe(true);
    const refused = await prove();
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: 'agent_not_active' });
  });
  test('a stop to a file reaches the follower that watches it', async () => {
    const stopFile = desk.path('stops');
    const follower = createFollower({ ...desk.account(), url: desk.url, stopFile, pollSeconds: 0.05 });
    follower.start();
    await follower.ready;
    await desk.issuer?.close();
    const { exit, stdout, stderr } = await desk.run(['stop', api.person, '--to', stopFile]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/^stopped at 1 verifiers\n {2}ok {4}/u);
    expect(stderr).toContain('warning: the log does not show it');
    await follower.until((trust) => trust.stopped(`principal/${api.person}`));
    await follower.close();
  });
});

describe('with a hostile issuer', () => {
  /** The issuer as it is, but for what `lie` answers. */
  const lying = (
    lie: (url: string, init: RequestInit | undefined) => Response | Promise<Response> | undefined,
  ): typeof fetch => {
    return async (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      return (await lie(url, init)) ?? systemPorts.fetch(input, init);
    };
  };
  const boast = async (url: string): Promise<Response> => {
    const note = await (await fetch(url)).text();
    return new Response(note.replace(/\n\d+\n/u, '\n99999\n'));
  };
  const hang = (init: RequestInit | undefined): Promise<Response> =>
    new Promise((_, reject) => {
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });

  test.each<[string, typeof fetch]>([
    [
      'that acknowledges and never publishes',
      lying((_, init) => (init?.method === 'POST' ? Response.json({}, { status: 201 }) : undefined)),
    ],
    [
      'that boasts of entries it never sends',
      lying((url) => (url.endsWith('/checkpoint') ? boast(url) : undefined)),
    ],
    [
      'that sends other entries',
      lying((url) => (url.includes('/entries?') ? new Response('{"leaf":"a"}\n') : undefined)),
    ],
    ['that never ends its answers', lying((_, init) => hang(init))],
  ])('%s, verifiers get the stop all the same', async (_, lie) => {
    // A verifier's own path must stay open to the command line.
    const ports = {
      ...systemPorts,
      fetch: ((input, init) =>
        input === api.stopUrl ? systemPorts.fetch(input, init) : lie(input, init)) as typeof fetch,
    };
    // The entry itself may be what reaches the verifier: it ends the stop, and the agent stays suspended.
    const inForce = (): boolean =>
      api.follower.trust.stopped(`agent/${api.agent}`) || !agentIsLive(api.follower.trust.read, api.agent);
    const began = performance.now();
    const reached = api.follower.until(inForce).then(() => performance.now() - began);
    const { exit } = await desk.run(['stop', api.agent, '--to', api.stopUrl], { ports });
    expect(exit).toBe(0);
    expect(inForce()).toBe(true);
    // What the issuer is given to show its log and to take the entry; not the 15 s of `--timeout`.
    expect(await reached).toBeLessThan(12_000);
  });
});

test('a stop is logged where the issuer takes it', async () => {
  const stopped = await desk.json('stop', api.agent, '--for-ever', '--to', api.stopUrl);
  expect(stopped).toMatchObject({ done: 'agent.revoke', log: expect.stringMatching(/^entry \d+, seen/u) });
  expect(await desk.json('admin', 'agent', 'show', api.agent)).toMatchObject({ status: 'revoked' });
});

test('a silent stop tells the issuer nothing', async () => {
  expect(await desk.json('stop', api.agent, '--no-log', '--to', api.stopUrl)).toMatchObject({
    log: 'not told',
  });
  expect(api.follower.trust.stopped(`agent/${api.agent}`)).toBe(true);
  expect(await desk.json('admin', 'agent', 'show', api.agent)).toMatchObject({ status: 'active' });
});

test('a key, a slot, an audience and a trust in an outside issuer can be stopped', async () => {
  const { key } = await desk.addPerson();
  const stop = (subject: string): Promise<Record<string, unknown>> =>
    desk.json('stop', subject, '--no-log', '--to', api.stopUrl);
  expect(await stop(key)).toMatchObject({ done: 'key.revoke' });
  const keys = desk.write('keys.json', JSON.stringify({ keys: [newSigner().publicKey.jwk] }));
  const trust = ['admin', 'federation', 'trust', 'deploy', '--agent', api.agent];
  await desk.json(...trust, '--github', 'acme/orders', '--jwks', keys);
  expect(await stop('federation:deploy')).toMatchObject({ done: 'federation.distrust' });
  expect(api.follower.trust.stopped('federation/deploy')).toBe(true);
  expect(await stop('slot:documents')).toMatchObject({ done: 'policy.retire' });
  expect(await stop(`${api.origin}/`)).toMatchObject({ done: 'audience.retire' });
});

test('a verifier that does not confirm is said, and the others still get it', async () => {
  const away = 'http://127.0.0.1:1/.bulla/stop';
  const file = desk.path('stops');
  const argv = ['stop', api.agent, '--to', away, '--to', `${api.origin}/elsewhere`, '--to', file];
  const { exit, stdout } = await desk.run(['--json', ...argv]);
  expect(exit).toBe(4);
  expect(JSON.parse(stdout)).toMatchObject({
    done: null,
    delivered: [{ target: away, error: expect.any(String) }, { error: expect.any(String) }, { target: file }],
    error: { code: 'stop_unconfirmed', exit: 4 },
  });
  expect(existsSync(file)).toBe(true);
  const human = await desk.run(['stop', api.person, '--to', away]);
  expect(human.exit).toBe(4);
  expect(human.stdout).toMatch(/^NOT stopped at 1 of 1 verifiers \(stop_unconfirmed\)\n {2}FAIL {2}/u);
});
