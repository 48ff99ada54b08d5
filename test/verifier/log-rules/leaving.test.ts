import { leavingOf, type Operation } from '@bulla/verifier/log';
import { expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, type Ledger } from '../../kit/log.ts';
import { createWorld, thumbprint } from './world.ts';

const leaving = (ledger: Ledger, id: string) => leavingOf(ledger.read, ledger.state, id);

test('what a person takes with them: keys, every group that is reached, live agents with keys and outside trusts', () => {
  const { ledger, alice, robot } = createWorld();
  ledger.do({ type: 'member.add', group: 'crew', member: 'group/staff' });
  const second = ledger.agent(alice);
  const revoked = ledger.agent(alice);
  ledger.do({ type: 'agent.revoke', agent: revoked.id });
  ledger.agent(ledger.person());
  const agents = [
    { agent: robot.id, kind: 'autonomous', keys: [thumbprint(robot)], federations: ['build'] },
    { agent: second.id, kind: 'autonomous', keys: [thumbprint(second)], federations: [] },
  ].sort((a, b) => (a.agent < b.agent ? -1 : 1));
  expect(leaving(ledger, alice.id)).toEqual({
    principal: alice.id,
    status: 'active',
    keys: [thumbprint(alice)],
    groups: ['crew', 'staff'],
    agents,
    federations: ['build'],
  });
});

test('of an agent: itself alone, while it is live', () => {
  const { ledger, alice, robot } = createWorld();
  ledger.agent(alice);
  const agents = [{ agent: robot.id, kind: 'autonomous', keys: [thumbprint(robot)], federations: ['build'] }];
  const only = { principal: alice.id, status: 'active', keys: [], groups: [] };
  expect(leaving(ledger, robot.id)).toEqual({ ...only, agents, federations: ['build'] });
  ledger.do({ type: 'agent.suspend', agent: robot.id });
  expect(leaving(ledger, robot.id)).toEqual({ ...only, agents: [], federations: [] });
  expect(codeOf(() => leaving(ledger, `agt_${'0'.repeat(32)}`))).toBe('rule_subject_unknown');
});

test('exactly what is shown before is gone after', () => {
  const leave: readonly ((id: string) => Operation)[] = [
    (principal) => ({ type: 'principal.suspend', principal }),
    (principal) => ({ type: 'principal.deprovision', principal }),
    (id) => ({ type: 'member.remove', group: 'staff', member: `principal/${id}` }),
  ];
  for (const operation of leave) {
    const { ledger, alice } = createWorld();
    expect(leaving(ledger, alice.id).agents).toHaveLength(1);
    ledger.do(operation(alice.id));
    expect(leaving(ledger, alice.id)).toMatchObject({ agents: [], federations: [] });
  }
});

test('a distrusted outside issuer, an unknown person, and too many groups', () => {
  const { ledger, alice } = createWorld();
  ledger.do({ type: 'federation.distrust', name: 'build' });
  expect(leaving(ledger, alice.id).federations).toEqual([]);
  expect(codeOf(() => leaving(ledger, `prn_${'0'.repeat(32)}`))).toBe('rule_subject_unknown');
  const deep = createLedger();
  for (let index = 0; index < 17; index += 1) {
    deep.group(`g${index}`);
    if (index > 0) deep.do({ type: 'member.add', group: `g${index}`, member: `group/g${index - 1}` });
  }
  const { id } = deep.person();
  deep.state.set(`principal/${id}`, { ...deep.read(`principal/${id}`), groups: ['g0'] } as never);
  expect(leaving(deep, id).groups).toEqual(['g0']);
});
