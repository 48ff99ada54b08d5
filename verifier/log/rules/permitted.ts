import type { OperationType } from '../operation-formats.ts';
import type { Rank } from '../records.ts';

/**
 * Who may ask for each operation at all; the rules of each noun say under which conditions.
 * `owner`: by a request of a person (or of an agent, about its own keys) that a delegate or an admin wraps.
 * INVARIANT: no row with `delegate` lets a key, a policy, an audience or a group come into being, or a right come back
 * that somebody of higher rank took away.
 */
export const permitted: Readonly<Record<OperationType, readonly Rank[]>> = {
  'account.create': [],
  'account.seal': ['admin'],
  'account.rules': ['admin'],
  'admin.add': ['admin'],
  'admin.remove': ['admin'],
  'delegate.grant': ['admin'],
  'delegate.renew': ['admin'],
  'delegate.revoke': ['admin'],
  'log.key': ['admin'],
  'domain.trust': ['admin'],
  'domain.distrust': ['admin'],
  'principal.provision': ['admin', 'delegate'],
  /** By request: of a sponsor, or of the new key with a log-in. */
  'principal.activate': ['admin', 'owner'],
  'principal.update': ['admin', 'delegate'],
  'principal.suspend': ['admin', 'delegate'],
  'principal.resume': ['admin', 'delegate'],
  'principal.deprovision': ['admin', 'delegate'],
  'recovery.set': ['owner'],
  'agent.register': ['admin', 'owner'],
  'agent.limit': ['admin', 'owner'],
  'agent.suspend': ['admin', 'owner', 'delegate'],
  'agent.resume': ['admin', 'owner', 'delegate'],
  'agent.revoke': ['admin', 'owner', 'delegate'],
  'agent.vouch': ['admin'],
  'federation.trust': ['admin'],
  'federation.distrust': ['admin'],
  'login.trust': ['admin'],
  'login.distrust': ['admin'],
  'key.add': ['admin', 'owner'],
  'key.rotate': ['owner'],
  /** By request: of the recovery key, or of enough of the people named. */
  'key.recover': ['admin', 'owner'],
  'key.revoke': ['admin', 'owner', 'delegate'],
  'group.create': ['admin'],
  'group.delete': ['admin'],
  'member.add': ['admin', 'delegate'],
  'member.remove': ['admin', 'delegate'],
  'policy.publish': ['admin'],
  'policy.overlap': ['admin'],
  'policy.retire': ['admin'],
  'audience.register': ['admin'],
  'audience.retire': ['admin'],
  'capability.revoke': ['admin', 'delegate'],
};

/**
 * What a lease may list: the operations above that a delegate may sign, minting, wrapping requests, and `principal.activate`: wrapping
 * activations on nobody's word but its own, of assurance `delegate`.
 */
export const leasable: ReadonlySet<string> = new Set([
  'capability.mint',
  'request.relay',
  'principal.activate',
  ...Object.entries(permitted)
    .filter(([, actors]) => actors.includes('delegate'))
    .map(([type]) => type),
]);
