import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { operatorToken } from '../kit/invited.ts';
import { testDomain } from '../kit/log.ts';
import { InvitedDesk } from './invited-desk.ts';

let at: InvitedDesk;
beforeEach(async () => {
  at = await InvitedDesk.create();
});
afterEach(() => at.close());

const logIn = (name: string) =>
  at.browse(['--json', 'operator', 'login', at.invited.world.issuerId], (browser) => at.logIn(browser, name));

async function json(...argv: readonly string[]): Promise<Record<string, unknown>> {
  const { exit, stdout } = await at.desk.run(['--json', ...argv], at.options());
  if (exit !== 0) throw new Error(`${argv.join(' ')} ended with ${exit}: ${stdout}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('bulla operator', () => {
  it('logs in at a real IdP, finds people by name and address, and says what would end with one', async () => {
    const bob = await at.invited.provision('bob');
    await at.invited.provision('carol');
    expect((await logIn('olga')).exit).toBe(0);
    for (const query of ['bo', `bob@${testDomain}`]) {
      expect(await json('operator', 'people', query)).toMatchObject({
        people: [{ id: bob, user_name: `bob@${testDomain}`, status: 'pending', invitation: 'due' }],
      });
    }
    expect(((await json('operator', 'people'))['people'] as unknown[]).length).toBe(2);
    expect(await json('operator', 'leaving', bob)).toMatchObject({ principal: bob, agents: [] });
  });

  it('turns away whoever the IdP knows and the configuration does not', async () => {
    const { stdout } = await logIn('mallory');
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'issuer_refused', reason: 'operator_login_refused' },
    });
    expect(await at.desk.failure(['operator', 'people'], at.options())).toBe('78 operator_missing');
  });

  it('ends at the time that was set, and when the operator says so', async () => {
    await logIn('olga');
    const kept = JSON.parse(at.desk.read('home/operator.json')) as { token: string };
    await json('operator', 'logout');
    const response = await at.invited.world.get('/operator/people', kept.token);
    expect(response.status).toBe(401);
    await logIn('olga');
    at.invited.world.ahead += 3601;
    expect(await at.desk.failure(['operator', 'people'], at.options())).toBe('78 operator_missing');
  });

  it('makes, lists and ends tokens of a connection, and shows none', async () => {
    await logIn('olga');
    const file = at.desk.path('okta.token');
    const made = await json('operator', 'token', 'new', 'okta', '--to', file, '--scope', 'users:read');
    const token = at.desk.read('okta.token').trim();
    expect(JSON.stringify(made)).not.toContain(token);
    const users = await at.invited.world.get('/scim/v2/Users', token);
    expect(users.status).toBe(200);
    const { tokens } = (await json('operator', 'token', 'list')) as { tokens: { id: string }[] };
    await json('operator', 'token', 'revoke', tokens[0]?.id ?? '');
    expect((await at.invited.world.get('/scim/v2/Users', token)).status).toBe(401);
  });

  it('sends an invitation again, which makes the one before void', async () => {
    const bob = await at.invited.provision('bob');
    const first = await at.invited.newestCode();
    await logIn('olga');
    await json('operator', 'invite', bob);
    const second = await at.invited.newestCode();
    expect((await at.invited.look(first)).status).toBe(403);
    expect((await at.invited.look(second)).status).toBe(200);
  });

  it('erases a person: deprovisioned in the log, gone from the directory, invitation void', async () => {
    const bob = await at.invited.provision('bob');
    const code = await at.invited.newestCode();
    await logIn('olga');
    await json('operator', 'erase', bob);
    expect(at.invited.world.hosted.log.read(`principal/${bob}`)?.status).toBe('deprovisioned');
    expect(await json('operator', 'people', 'bob')).toEqual({ people: [] });
    expect(at.invited.world.lines.find(({ event }) => event === 'operator.acted')).toMatchObject({
      operator: expect.stringMatching(/^login\//u),
      what: '/a/:account/operator/people/:id/erase',
      target: bob,
    });
    expect((await at.invited.look(code)).status).toBe(403);
  });

  it('takes the token of a program, which no log line names', async () => {
    await at.invited.provision('bob');
    const response = await at.invited.world.get('/operator/people?query=bob', operatorToken);
    expect(response.status).toBe(200);
    expect((await at.invited.world.get('/operator/people', `${operatorToken}x`)).status).toBe(401);
    expect(JSON.stringify(at.invited.world.lines)).not.toContain(operatorToken);
  });
});
