import type { Signer } from '@bulla/verifier';
import { leasable, type Operation } from '@bulla/verifier/log';
import { createLedger, type Ledger, newSigner, type Party, someDigest, testDomain } from '../../kit/log.ts';

/** One of everything, so that a row of a table needs to say only what it is about. */
export interface World {
  readonly ledger: Ledger;
  /** Active, in `staff`. */
  readonly alice: Party;
  readonly bob: Party;
  /** Pending. */
  readonly carol: Party;
  /** Active, may confirm activations. */
  readonly sam: Party;
  /** Alice's. */
  readonly robot: Party;
  /**
   * Holds a lease that lists every operation a lease can list, the group `staff` and the attribute `team`, and brought in
   * alice, bob and carol.
   */
  readonly eve: Signer;
  /** A key that the log has never seen. */
  readonly mallory: Signer;
}

export function createWorld(): World {
  const ledger = createLedger();
  for (const group of ['staff', 'crew']) ledger.group(group);
  ledger.group('board', { protected: true });
  ledger.trustDomain();
  ledger.trustLogin();
  const eve = ledger.grant({
    operations: [...leasable],
    groups: ['staff'],
    attributes: ['team'],
    maxLifetimeSeconds: 300,
  });
  const alice = ledger.person({ groups: ['staff'], by: eve });
  const bob = ledger.person({ by: eve });
  const carol = ledger.person({ pending: true, by: eve });
  const sam = ledger.person({ sponsor: true });
  const robot = ledger.agent(alice);
  ledger.policy('main');
  ledger.audience('https://api.example');
  ledger.trustOutside(robot, { name: 'build' });
  return { ledger, alice, bob, carol, sam, robot, eve, mallory: newSigner() };
}

export const thumbprint = (party: Party | Signer): string =>
  ('signer' in party ? party.signer : party).publicKey.thumbprint;

/** What each operation looks like when its conditions hold, about alice or her robot; and the keys that must sign with it. */
export const samples: {
  readonly [type: string]: (world: World) => {
    readonly op: Operation;
    readonly subject?: string;
    readonly keys?: readonly Signer[];
  };
} = {
  'account.seal': () => ({ op: { type: 'account.seal', size: 1, root: hash('r'), state: hash('s') } }),
  'admin.add': () => withKey((key) => ({ type: 'admin.add', key })),
  'delegate.grant': ({ ledger }) =>
    withKey((key) => ({ type: 'delegate.grant', key, lease: ledger.lease() })),
  'delegate.renew': ({ ledger, eve }) => ({
    op: { type: 'delegate.renew', key: thumbprint(eve), notAfter: ledger.time + 1000 },
  }),
  'delegate.revoke': ({ eve }) => ({ op: { type: 'delegate.revoke', key: thumbprint(eve) } }),
  'log.key': () => withKey((key) => ({ type: 'log.key', key })),
  'principal.provision': () => ({
    op: {
      type: 'principal.provision',
      groups: ['staff'],
      attributes: { team: 'red' },
      sponsor: false,
      domain: testDomain,
    },
  }),
  'domain.trust': () => ({ op: { type: 'domain.trust', domain: 'other.example' } }),
  'domain.distrust': () => ({ op: { type: 'domain.distrust', domain: testDomain } }),
  'principal.update': ({ alice }) =>
    about(alice, { type: 'principal.update', principal: alice.id, attributes: { team: 'blue' } }),
  'principal.activate': ({ carol }) => ({
    ...withKey((key) => ({ type: 'principal.activate', principal: carol.id, key })),
    subject: `principal/${carol.id}`,
  }),
  'principal.suspend': ({ alice }) => about(alice, { type: 'principal.suspend', principal: alice.id }),
  'principal.deprovision': ({ alice }) =>
    about(alice, { type: 'principal.deprovision', principal: alice.id }),
  'agent.register': ({ alice }) => ({
    ...withKey((key) => ({ type: 'agent.register', owner: alice.id, kind: 'autonomous', key })),
    subject: `principal/${alice.id}`,
  }),
  'agent.limit': ({ robot }) => aboutAgent(robot, { type: 'agent.limit', agent: robot.id, limits: [] }),
  'agent.suspend': ({ robot }) => aboutAgent(robot, { type: 'agent.suspend', agent: robot.id }),
  'agent.revoke': ({ robot }) => aboutAgent(robot, { type: 'agent.revoke', agent: robot.id }),
  'agent.vouch': ({ robot }) =>
    aboutAgent(robot, { type: 'agent.vouch', agent: robot.id, actions: ['read'] }),
  'federation.trust': ({ robot }) =>
    aboutAgent(robot, {
      type: 'federation.trust',
      name: 'fresh',
      issuer: 'https://idp.example',
      profile: 'oidc',
      keys: [hash('k')],
      claims: { sub: 'robot' },
      audience: 'bulla',
      agent: robot.id,
    }),
  'federation.distrust': ({ robot }) => aboutAgent(robot, { type: 'federation.distrust', name: 'build' }),
  'login.trust': ({ alice }) =>
    about(alice, {
      type: 'login.trust',
      name: 'fresh',
      issuer: 'https://idp.example',
      keys: [hash('k')],
      audience: 'bulla',
      claim: 'sub',
    }),
  'login.distrust': ({ alice }) => about(alice, { type: 'login.distrust', name: 'staff' }),
  'recovery.set': ({ alice }) => ({
    ...withKey((key) => ({ type: 'recovery.set', principal: alice.id, key, people: [], threshold: 0 })),
    subject: `principal/${alice.id}`,
  }),
  'key.add': ({ alice }) => ({
    ...withKey((key) => ({ type: 'key.add', subject: `principal/${alice.id}`, key })),
    subject: `principal/${alice.id}`,
  }),
  'key.rotate': ({ alice }) => ({
    ...withKey((key) => ({ type: 'key.rotate', old: thumbprint(alice), key })),
    subject: `principal/${alice.id}`,
  }),
  'key.recover': ({ alice }) => ({
    ...withKey((key) => ({ type: 'key.recover', principal: alice.id, key })),
    subject: `principal/${alice.id}`,
  }),
  'key.revoke': ({ alice }) => about(alice, { type: 'key.revoke', key: thumbprint(alice) }),
  'group.create': () => ({ op: { type: 'group.create', group: 'fresh', protected: false } }),
  'group.delete': () => ({ op: { type: 'group.delete', group: 'crew' } }),
  'member.add': ({ bob }) => ({ op: { type: 'member.add', group: 'staff', member: `principal/${bob.id}` } }),
  'member.remove': ({ alice }) => ({
    op: { type: 'member.remove', group: 'staff', member: `principal/${alice.id}` },
  }),
  'policy.publish': () => ({ op: { type: 'policy.publish', slot: 'main', digest: someDigest('next') } }),
  'policy.retire': () => ({ op: { type: 'policy.retire', slot: 'main' } }),
  'audience.register': () => ({
    op: { type: 'audience.register', audience: 'https://b.example', slot: 'main', maxStalenessSeconds: 9 },
  }),
  'audience.retire': () => ({ op: { type: 'audience.retire', audience: 'https://api.example' } }),
  'capability.revoke': ({ ledger }) => ({
    op: { type: 'capability.revoke', jti: 'j1', exp: ledger.time + 60 },
  }),
};

function withKey(make: (jwk: Signer['publicKey']['jwk']) => Operation): {
  readonly op: Operation;
  readonly keys: readonly Signer[];
} {
  const key = newSigner();
  return { op: make(key.publicKey.jwk), keys: [key] };
}

function about(person: Party, op: Operation): { readonly op: Operation; readonly subject: string } {
  return { op, subject: `principal/${person.id}` };
}

function aboutAgent(agent: Party, op: Operation): { readonly op: Operation; readonly subject: string } {
  return { op, subject: `agent/${agent.id}` };
}

function hash(text: string): string {
  return someDigest(text).slice('sha-256:'.length);
}
