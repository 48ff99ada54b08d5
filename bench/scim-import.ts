import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type IssuerConfig,
  initAccount,
  issueScimToken,
  openLibsqlStore,
  parseConfig,
  scimScopes,
  systemIssuerPorts,
} from '@bulla/issuer';
import { createSigner, generatePrivateJwk, type PrivateJwk } from '@bulla/verifier';
import type { ImportResult } from './results.ts';
import { rounded } from './rounds.ts';
import type { FromScimServer } from './scim-server.ts';
import { Ledger } from './world.ts';

export interface ImportOptions {
  readonly users: number;
  readonly groups: number;
  readonly onProgress?: (line: string) => void;
}

const readToken = 'read-token-of-the-bench';
/** Requests under way at once: an IdP's provisioning job has a few. */
const clients = 4;
/** Of the groups, so many stand for groups of the log: their members are entries too. */
const loggedGroups = 50;
const many = 1_000_000;
const samples = 10;

/**
 * A first import as an IdP does it, over HTTP into a real issuer in a process of its own: one POST for each user, then one for
 * each group with its members, every user in one group. Every answer is durable, in log and directory, before it is given.
 */
export async function measureImport(options: ImportOptions): Promise<ImportResult> {
  const stage = await Stage.open();
  try {
    return await stage.import(options);
  } finally {
    await stage.close();
  }
}

class Stage {
  readonly #dir: string;
  readonly #child: ChildProcess;
  readonly #base: string;
  readonly #token: string;

  private constructor(dir: string, child: ChildProcess, base: string, token: string) {
    this.#dir = dir;
    this.#child = child;
    this.#base = base;
    this.#token = token;
  }

  static async open(): Promise<Stage> {
    const dir = mkdtempSync(path.join(tmpdir(), 'bulla-bench-'));
    const { config, ledger } = await prepare(dir);
    const file = path.join(dir, 'issuer.json');
    writeFileSync(file, JSON.stringify(config));
    const program = fileURLToPath(new URL('scim-server.js', import.meta.url));
    const child = fork(program, [file], { execArgv: ['--expose-gc'], stdio: [0, 2, 2, 'ipc'] });
    const [ready] = (await once(child, 'message')) as [FromScimServer];
    if (ready.type !== 'ready') throw new Error('the issuer did not start');
    const base = `${ready.url}/a/${ledger.account}`;
    for (const leaf of ledger.leaves.slice(1)) {
      await post(`${base}/log/entries`, readToken, { leaf });
    }
    const store = openLibsqlStore(config.database);
    const { token } = await issueScimToken(
      await store.openAccount(ledger.account),
      { connection: 'idp', scopes: scimScopes, notAfter: Date.now() / 1000 + 86_400 },
      systemIssuerPorts,
    );
    await store.close();
    return new Stage(dir, child, `${base}/scim/v2`, token);
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async import({ users, groups, onProgress }: ImportOptions): Promise<ImportResult> {
    const ids: string[] = [];
    const memory: ImportResult['memory'][number][] = [await this.#memory(0)];
    const usersSeconds = await this.#inParts(
      users,
      samples,
      async (index) => {
        ids.push(await this.#create('Users', userOf(index)));
      },
      async (done, seconds) => {
        memory.push(await this.#memory(done));
        onProgress?.(
          `import: ${String(done)} of ${String(users)} users, ${String(rounded(done / seconds, 0))} a second`,
        );
      },
    );
    const share = Math.ceil(users / groups);
    const groupsSeconds = await this.#inParts(
      groups,
      5,
      async (index) => {
        const members = ids.slice(index * share, (index + 1) * share).map((value) => ({ value }));
        const displayName = index < loggedGroups ? `group-${String(index)}` : `Canteen ${String(index)}`;
        await this.#create('Groups', { schemas: [groupSchema], displayName, members });
      },
      async (done) => {
        onProgress?.(`import: ${String(done)} of ${String(groups)} groups`);
      },
    );
    memory.push(await this.#memory(users));
    return {
      users,
      groups,
      usersPerSecond: rounded(users / usersSeconds, 1),
      membersPerSecond: rounded(ids.length / groupsSeconds, 1),
      memory,
    };
  }

  /** @returns seconds spent, pauses for `between` apart. */
  async #inParts(
    total: number,
    parts: number,
    work: (index: number) => Promise<void>,
    between: (done: number, seconds: number) => Promise<void>,
  ): Promise<number> {
    let next = 0;
    let seconds = 0;
    for (let part = 1; part <= parts; part += 1) {
      const until = Math.round((total * part) / parts);
      const start = performance.now();
      const client = async (): Promise<void> => {
        while (next < until) {
          next += 1;
          await work(next - 1);
        }
      };
      await Promise.all(Array.from({ length: clients }, client));
      seconds += (performance.now() - start) / 1000;
      await between(until, seconds);
    }
    return seconds;
  }

  async #create(type: string, resource: object): Promise<string> {
    const { id } = (await post(`${this.#base}/${type}`, this.#token, resource)) as { id: string };
    return id;
  }

  async #memory(users: number): Promise<ImportResult['memory'][number]> {
    const answer = once(this.#child, 'message');
    this.#child.send('memory');
    const [message] = (await answer) as [FromScimServer];
    if (message.type !== 'memory') throw new Error('the issuer said something else');
    const mebibytes = (bytes: number): number => rounded(bytes / 1_048_576, 1);
    return { users, heapMiB: mebibytes(message.heap), residentMiB: mebibytes(message.resident) };
  }
}

const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';
const groupSchema = 'urn:ietf:params:scim:schemas:core:2.0:Group';

/** As large as what an IdP sends. */
function userOf(index: number): object {
  const userName = `person-${String(index)}@corp.example`;
  const name = { givenName: `Given ${String(index)}`, familyName: `Family ${String(index)}` };
  const emails = [{ value: userName, type: 'work', primary: true }];
  const title = 'Staff engineer';
  const shared = { schemas: [userSchema], active: true, locale: 'en-GB', title };
  return {
    ...shared,
    userName,
    externalId: `00u${String(index)}`,
    name,
    displayName: `${name.givenName} ${name.familyName}`,
    emails,
  };
}

/** An account whose one connection may provision without end. */
async function prepare(dir: string): Promise<{ config: IssuerConfig; ledger: Ledger }> {
  const [logJwk, mintJwk, idpJwk] = [generatePrivateJwk(), generatePrivateJwk(), generatePrivateJwk()];
  const time = Math.floor(Date.now() / 1000) - 10;
  const ledger = new Ledger(time, createSigner(logJwk), 'log.example/bench');
  const groups = Array.from({ length: loggedGroups }, (_, index) => `group-${String(index)}`);
  for (const group of groups) ledger.do({ type: 'group.create', group, protected: false });
  ledger.do({ type: 'domain.trust', domain: 'corp.example' });
  const idp = createSigner(idpJwk);
  const lease = {
    operations: [
      'principal.provision',
      'principal.update',
      'principal.suspend',
      'member.add',
      'member.remove',
    ],
    connection: 'idp',
    domains: ['corp.example'],
    caps: { provisions: many, provisionsPerHour: many, removals: many, removalsPerHour: many },
    groups,
    attributes: [],
    audiences: [],
    maxLifetimeSeconds: 0,
    notAfter: time + 86_400,
    maxEntriesPerHour: many,
    maxEntries: many,
  };
  ledger.do({ type: 'delegate.grant', key: idp.publicKey.jwk, lease }, [idp]);
  const config = parseConfig({
    publicUrl: 'https://issuer.example',
    database: path.join(dir, 'issuer.db'),
    port: 0,
    accounts: [
      {
        account: ledger.account,
        logKeyFile: keyFile(dir, 'log', logJwk),
        mintKeyFile: keyFile(dir, 'mint', mintJwk),
        readTokens: [{ name: 'bench', sha256: createHash('sha256').update(readToken).digest('base64url') }],
        connections: [{ name: 'idp', delegateKeyFile: keyFile(dir, 'idp', idpJwk) }],
      },
    ],
  });
  await initAccount(config.database, ledger.leaves[0] ?? '');
  return { config, ledger };
}

function keyFile(dir: string, name: string, jwk: PrivateJwk): string {
  const file = path.join(dir, `${name}.jwk`);
  writeFileSync(file, JSON.stringify(jwk), { mode: 0o600 });
  return file;
}

async function post(url: string, token: string, body: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`the issuer refused: ${await response.text()}`);
  return response.json();
}
