import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AccountStore, members, openLibsqlStore, resources } from '@bulla/issuer';
import { type Records, World } from '@bulla/verifier/log';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patchSchema, type ScimWorld, startScim, userSchema } from '../kit/scim.ts';
import { startIssuerProcess } from './start-issuer.ts';

const kills = 20;
const writers = 4;
const many = 1_000_000;

let scim: ScimWorld;
let group: string;
beforeAll(async () => {
  scim = await startScim({
    connectionLease: {
      maxEntriesPerHour: many,
      maxEntries: many,
      caps: { provisions: many, provisionsPerHour: many, removals: many, removalsPerHour: many },
    },
  });
  group = await scim.group('Engineers');
  await scim.world.issuer.close();
  writeFileSync(join(scim.world.dir, 'issuer.json'), JSON.stringify(scim.world.config));
});
afterAll(async () => {
  await scim.world.start();
  await scim.remove();
});

/** What the IdP was told, over all lives of the issuer: ids of people who are there, and of those who are not. */
const there = new Set<string>();
const notThere = new Set<string>();
let names = 0;

/** Creates people, puts them into a group of the log, suspends and removes some, until the issuer is gone. */
async function write(url: string, onWritten: () => void): Promise<void> {
  const call = async (
    method: string,
    path: string,
    body?: object,
  ): Promise<{ status: number; id: string }> => {
    const response = await fetch(`${url}${scim.world.base}/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${scim.token}`, 'content-type': 'application/scim+json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const { id = '' } = (text === '' ? {} : JSON.parse(text)) as { id?: string };
    if (response.status >= 300) throw new Error(`unexpected answer ${response.status}: ${text}`);
    return { status: response.status, id };
  };
  const patch = async (path: string, operation: object): Promise<unknown> =>
    call('PATCH', path, { schemas: [patchSchema], Operations: [operation] });
  try {
    for (;;) {
      names += 1;
      const turn = names % 3;
      const user = { schemas: [userSchema], userName: `person-${names}@corp.example`, active: turn !== 1 };
      const { id } = await call('POST', '/Users', user);
      there.add(id);
      await patch(`/Groups/${group}`, { op: 'add', path: 'members', value: [{ value: id }] });
      if (turn === 0) continue;
      // Told neither way until the answer is there.
      there.delete(id);
      await call('DELETE', `/Users/${id}`);
      notThere.add(id);
      onWritten();
    }
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
  }
}

/** Looks at the files that a killed issuer left, before any other one can repair them. */
async function requireAgreement(life: number): Promise<void> {
  const store = openLibsqlStore(scim.world.config.database);
  try {
    await compare(await store.openAccount(scim.world.ledger.account), life);
  } finally {
    await store.close();
  }
}

async function compare(store: AccountStore, life: number): Promise<void> {
  const world = new World({ account: store.account });
  for (const leaf of await store.entries(0, many)) expect(world.append(leaf).refusal).toBeUndefined();
  const logged = [...world.records()].flatMap(([key, record]) => {
    const { connection, status, groups } = record as Records[`principal/${string}`];
    const isLive = key.startsWith('principal/') && connection === 'okta' && status !== 'deprovisioned';
    return isLive ? [{ id: key.slice('principal/'.length), groups }] : [];
  });
  const rows = (await store.find(resources, { kind: 'User' })).map(({ id }) => id);
  expect(rows.toSorted(), `people after life ${life}`).toEqual(logged.map(({ id }) => id).toSorted());
  const inGroup = logged.filter(({ groups }) => groups.includes('engineers')).map(({ id }) => id);
  const shown = (await store.find(members, { groupId: group })).map(({ member }) => member);
  expect(shown.toSorted(), `members after life ${life}`).toEqual(inGroup.toSorted());
  const ids = new Set(rows);
  for (const id of there) expect(ids.has(id), `acknowledged in life ${life}`).toBe(true);
  for (const id of notThere) expect(ids.has(id), `removed in life ${life}`).toBe(false);
}

test(`kill -9 under ${writers} SCIM clients, ${kills} times: nobody is in the log or in the directory alone`, async () => {
  for (let life = 0; life < kills; life += 1) {
    const { url, child, gone } = await startIssuerProcess(join(scim.world.dir, 'issuer.json'));
    let busy: Promise<void>[] = [];
    await new Promise<void>((resolve) => {
      busy = Array.from({ length: writers }, async () => write(url, resolve));
    });
    // The moment must not depend on what the issuer is doing, but that it is at work, however slow the machine.
    await sleep(Math.random() * 300);
    child.kill('SIGKILL');
    await gone;
    await Promise.all(busy);
    await requireAgreement(life);
  }
  expect(there.size).toBeGreaterThan(0);
  expect(notThere.size).toBeGreaterThanOrEqual(kills);
});
