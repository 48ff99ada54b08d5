import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createVerifier, memoryReplay, type Receipt } from '@bulla/verifier';
import { guard } from '@bulla/verifier/hono';
import { agentIsLive, createFollower, type Follower } from '@bulla/verifier/log';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Desk, freePort, policySets } from '../cli/desk.ts';
import { PlainBrowser } from '../kit/browser.ts';
import { type CliProcess, runCli, startCli } from '../kit/cli-process.ts';
import { invitationIn, sinkMails } from '../kit/invited.ts';
import { type LoginIdp, startLoginIdp } from '../kit/login-idp.ts';

/*
 * Provisioning as a new user lives it: issuer and Alice's commands are processes of their own, the IdP is an unmodified
 * oidc-provider, the API is a server, the mail is a file.
 */

const plain = '--insecure-plaintext-key';
const domain = 'corp.example';

let story: Story;
beforeEach(async () => {
  story = await Story.begin();
}, 120_000);
afterEach(() => story.end(), 60_000);

class Story {
  readonly desk: Desk = new Desk();
  readonly receipts: Receipt[] = [];
  readonly #closing: (() => unknown)[] = [];
  idp!: LoginIdp;
  follower!: Follower;
  url = '';
  apiOrigin = '';
  scimToken = '';

  static async begin(): Promise<Story> {
    const begun = new Story();
    begun.idp = await startLoginIdp();
    begun.#closing.push(() => begun.idp.close());
    await begun.#issuer();
    await begun.#admin();
    await begun.#api();
    return begun;
  }

  async end(): Promise<void> {
    for (const close of this.#closing.toReversed()) await close();
    await this.desk.close();
  }

  /** `bulla init`, what an admin writes into its configuration, and `bulla serve`. */
  async #issuer(): Promise<void> {
    const { desk } = this;
    this.url = `http://127.0.0.1:${await freePort()}`;
    this.apiOrigin = `http://127.0.0.1:${await freePort()}`;
    const issuer = ['--data', desk.data, '--issuer-url', this.url, '--audience', `${this.apiOrigin}/`];
    await desk.json('init', plain, ...issuer);
    const file = desk.path('issuer', 'issuer.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as { accounts: Record<string, unknown>[] };
    mkdirSync(desk.path('mail'));
    Object.assign(config.accounts[0] ?? {}, {
      connections: [
        {
          name: 'okta',
          delegateKeyFile: desk.path('issuer', 'okta.jwk'),
          groups: { Engineering: 'staff' },
          login: { trust: 'corp', from: 'externalId' },
        },
      ],
      invitations: { sinkFolder: desk.path('mail'), from: 'bulla@corp.example' },
    });
    writeFileSync(file, JSON.stringify(config));
  }

  async #admin(): Promise<void> {
    const { desk, idp } = this;
    // The key of the connection is made before the issuer, which reads it, starts.
    await desk.json('admin', 'key', 'new', 'okta', plain);
    await desk.json('admin', 'key', 'export', 'okta', '--to', desk.path('issuer', 'okta.jwk'));
    const config = desk.path('issuer', 'issuer.json');
    const process = startCli(['serve', '--config', config], { BULLA_HOME: desk.home });
    this.#closing.push(() => ended(process));
    await process.printed('issuer listens');
    await desk.json('admin', 'group', 'add', 'staff');
    await desk.json('admin', 'domain', 'trust', domain);
    const jwks = desk.write('jwks.json', JSON.stringify({ keys: [idp.jwk] }));
    const login = ['--issuer', idp.issuer, '--client-id', 'bulla-people', '--jwks', jwks];
    await desk.json('admin', 'login', 'trust', 'corp', ...login);
    const operations = [
      'principal.provision',
      'principal.suspend',
      'principal.resume',
      'principal.deprovision',
      'member.add',
      'member.remove',
    ];
    const allowed = operations.flatMap((operation) => ['--allow', operation]);
    const lent = ['--connection', 'okta', '--domain', domain, '--login', 'corp', '--group', 'staff'];
    await desk.json('admin', 'lease', 'grant', '--key', desk.path('issuer', 'okta.jwk'), ...allowed, ...lent);
    await desk.json('policy', 'publish', `${policySets}/read-only-agent`, '--slot', 'documents');
    await desk.json('admin', 'audience', 'add', `${this.apiOrigin}/`, '--slot', 'documents');
    const file = desk.path('okta.token');
    await desk.json('scim', 'token', 'new', 'okta', '--config', config, '--to', file);
    this.scimToken = readFileSync(file, 'utf8').trim();
  }

  async #api(): Promise<void> {
    const { account, readToken } = this.desk.account();
    this.follower = createFollower({ account, readToken, url: this.url });
    this.follower.start();
    this.#closing.push(() => this.follower.close());
    await this.follower.ready;
    const verifier = createVerifier({
      account,
      audience: `${this.apiOrigin}/`,
      publicOrigins: [this.apiOrigin],
      trust: this.follower.trust,
      replay: memoryReplay({ processes: 1, startedAt: Date.now() / 1000 - 3600 }),
      onReceipt: (receipt) => this.receipts.push(receipt),
    });
    const app = new Hono();
    const resource = (request: { param(name: string): string }) => ({
      type: 'Document',
      id: request.param('id'),
      attributes: { owner: { type: 'User', id: 'prn_of_somebody_else' } },
    });
    app.use(guard(verifier, { 'GET /documents/:id': { action: 'document.read', resource } }));
    app.get('/documents/:id', (c) => c.json({ document: c.req.param('id') }));
    const server = serve({
      fetch: app.fetch,
      hostname: '127.0.0.1',
      port: Number(new URL(this.apiOrigin).port),
    });
    this.#closing.push(() => server.close());
  }

  /** What an IdP's SCIM client sends. */
  async scim(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const { account } = this.desk.account();
    const response = await fetch(`${this.url}/a/${account}/scim/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${this.scimToken}`, 'content-type': 'application/scim+json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  setActive(user: string, active: boolean): Promise<Record<string, unknown>> {
    return this.scim('PATCH', `/Users/${user}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'active', value: active }],
    });
  }

  /** The newest mail in the folder that stands for a mail server. */
  async mail(): Promise<string> {
    const folder = this.desk.path('mail');
    await expect.poll(() => readdirSync(folder).length, { timeout: 20_000 }).toBeGreaterThan(0);
    return sinkMails(folder).at(-1) ?? '';
  }

  /** A command of Alice's, in a process of its own. */
  async alice(...argv: readonly string[]): Promise<{ exit: number; printed: Record<string, unknown> }> {
    const home = this.desk.path('alice');
    const { exit, stdout } = await runCli([plain, '--json', '--home', home, ...argv]);
    return { exit, printed: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) };
  }

  /** `bulla activate` as it is in the mail, with a browser that logs in at the IdP. */
  async activate(invitation: string, account: string): Promise<Record<string, unknown>> {
    const argv = [plain, '--json', '--home', this.desk.path('alice'), 'activate', invitation, '--no-browser'];
    const process = startCli(argv);
    this.#closing.push(() => ended(process));
    const [, page = ''] = /open (http:\S+)/u.exec(await onStderr(process, 'open http')) ?? [];
    const browser = await new PlainBrowser().open(page);
    await browser.submit({ way: 'login' });
    await browser.open(await this.idp.logIn(browser.refresh, account));
    if ((await process.ended) !== 0) throw new Error(`${process.output.stdout}${browser.page}`);
    return JSON.parse(process.output.stdout) as Record<string, unknown>;
  }

  /** The agent's call; `envelope`: the file of the one it has already, to be spent while it lives. */
  call(agent: string, envelope: string): Promise<{ exit: number; printed: Record<string, unknown> }> {
    const spend = ['--envelope', envelope];
    return this.alice('call', '--agent', agent, '--key', 'ci', ...spend, `${this.apiOrigin}/documents/1`);
  }
}

async function ended({ child, ended: end }: CliProcess): Promise<void> {
  child.kill('SIGTERM');
  await end;
}

async function onStderr({ child, output, ended: end }: CliProcess, text: string): Promise<string> {
  while (!output.stderr.includes(text)) {
    if (child.exitCode !== null) throw new Error(`ended without it: ${output.stdout}${output.stderr}`);
    await Promise.race([once(child.stderr ?? child, 'data'), end]);
  }
  return output.stderr;
}

/** Alice, from the IdP's first call to an agent that works. */
async function alicesAgent(): Promise<Working> {
  const { follower, receipts } = story;
  const user = await story.scim('POST', '/Users', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
    userName: `alice@${domain}`,
    externalId: 'idp-alice',
    name: { givenName: 'Alice', familyName: 'Aldrin' },
    emails: [{ value: `alice@${domain}`, type: 'work', primary: true }],
    active: true,
  });
  const id = String(user['id']);
  const group = await story.scim('POST', '/Groups', {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
    displayName: 'Engineering',
    members: [{ value: id }],
  });
  expect(await story.desk.json('admin', 'person', 'show', id)).toMatchObject({ status: 'pending', keys: [] });
  const confirmed = await story.activate(invitationIn(await story.mail()).url, 'idp-alice');
  expect(confirmed).toMatchObject({ principal: id, assurance: 'login', status: 'active' });
  const { printed: added } = await story.alice('agent', 'add', '--key', 'ci');
  const agent = String(added['agent']);
  const envelope = story.desk.path('alice', 'envelope');
  await follower.until(({ read }) => read(`agent/${agent}`) !== undefined);
  expect((await story.call(agent, envelope)).exit).toBe(0);
  expect(receipts.at(-1)).toMatchObject({
    outcome: 'allow',
    envelope: { subject: id, actors: [id, agent], assurance: 'login' },
  });
  return { id, group: String(group['id']), agent, envelope };
}

interface Working {
  readonly id: string;
  /** SCIM id of the group that lets her read. */
  readonly group: string;
  readonly agent: string;
  /** File of an envelope that still lives. */
  readonly envelope: string;
}

/** The agent's next call, with the envelope that it has, once the API knows. */
async function isRefused({ id, agent, envelope }: Working, epoch: number): Promise<void> {
  await story.follower.until(({ read }) => (read(`principal/${id}`)?.epoch ?? 0) > epoch);
  expect(existsSync(envelope)).toBe(true);
  expect((await story.call(agent, envelope)).exit).toBe(7);
  const refused = { outcome: 'refuse', code: 'subject_not_active', envelope: { subject: id } };
  expect(story.receipts.at(-1)).toMatchObject(refused);
}

/** Alice takes her agent on again, and it works with a new envelope alone. */
async function comesBack({ agent, envelope }: Working): Promise<void> {
  expect((await story.call(agent, envelope)).exit).toBe(7);
  const { exit } = await story.alice('agent', 'resume', '--all', '--keep-all-keys');
  expect(exit).toBe(0);
  await story.follower.until(({ read }) => agentIsLive(read, agent));
  expect((await story.call(agent, envelope)).exit).toBe(7);
  rmSync(envelope);
  expect((await story.call(agent, envelope)).exit).toBe(0);
}

const epochOf = ({ id }: Working): number => story.follower.trust.read(`principal/${id}`)?.epoch ?? 0;

test('from the IdP to the agent and back: pending, confirmed, owner of an agent that works, and refused once the IdP says so', async () => {
  const alice = await alicesAgent();
  const before = epochOf(alice);
  await story.setActive(alice.id, false);
  await isRefused(alice, before);
  await story.setActive(alice.id, true);
  await story.follower.until(({ read }) => read(`principal/${alice.id}`)?.status === 'active');
  await comesBack(alice);
}, 180_000);

test('out of a group, suspended by an admin, deleted at the IdP: the same end, and after the last no way back', async () => {
  const alice = await alicesAgent();
  const member = (op: string): Promise<unknown> =>
    story.scim('PATCH', `/Groups/${alice.group}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op, path: 'members', value: [{ value: alice.id }] }],
    });
  let before = epochOf(alice);
  await member('remove');
  await isRefused(alice, before);
  await member('add');
  await comesBack(alice);

  before = epochOf(alice);
  await story.desk.json('suspend', alice.id);
  await isRefused(alice, before);
  // What an admin suspended, the IdP does not resume.
  await expect(story.setActive(alice.id, true)).rejects.toThrow('rule_rank_too_low');

  before = epochOf(alice);
  await story.scim('DELETE', `/Users/${alice.id}`);
  await isRefused(alice, before);
  expect(await story.desk.failure(['resume', alice.id])).toBe('3 rule_status');
}, 180_000);
