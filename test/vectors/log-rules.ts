import { writeFileSync } from 'node:fs';
import type { Signer } from '@bulla/verifier';
import { canonicalJson, parseJson } from '@bulla/verifier/envelope';
import { type Operation, principalIdOf } from '@bulla/verifier/log';
import { createLedger, testDomain } from '../kit/log.ts';
import { vectorSigner } from './signer.ts';

/*
 * Writes log-rules.json, the published leaves and verdicts. Run it after a change of format or meaning, and read the difference:
 * node --import=tsx --conditions=@bulla/source test/vectors/log-rules.ts
 */

const [first, second, logKey, delegate, own, robot, stranger] = [
  'admin one',
  'admin two',
  'log',
  'delegate',
  'alice',
  'robot',
  'another delegate',
].map(vectorSigner) as [Signer, Signer, Signer, Signer, Signer, Signer, Signer];

const ledger = createLedger({
  time: 1_790_000_000,
  admins: [first, second],
  threshold: 2,
  logKey,
  origin: 'log.example/acme',
});
const leaves = [{ does: 'genesis: two admins, both must sign', leaf: ledger.lastLeaf, code: 'accepted' }];

function write(does: string, leaf: string): void {
  leaves.push({ does, leaf, code: ledger.force(leaf) });
}
const admins = (does: string, op: Operation, cosigners: readonly Signer[] = []): void =>
  write(does, ledger.sign({ op }, first, [second, ...cosigners].sort(byThumbprint)));
const byDelegate = (does: string, op: Operation, cosigners: readonly Signer[] = []): void =>
  write(does, ledger.sign({ op }, delegate, cosigners));

function byThumbprint(a: Signer, b: Signer): number {
  return a.publicKey.thumbprint < b.publicKey.thumbprint ? -1 : 1;
}

const provision = {
  type: 'principal.provision',
  groups: ['staff'],
  attributes: {},
  sponsor: false,
  domain: testDomain,
} as const;

admins('a group', { type: 'group.create', group: 'staff', protected: false });
write(
  'one admin alone',
  ledger.sign({ op: { type: 'group.create', group: 'board', protected: true } }, first),
);
admins(
  'a lease',
  {
    type: 'delegate.grant',
    key: delegate.publicKey.jwk,
    lease: ledger.lease({
      operations: [
        'member.remove',
        'principal.provision',
        'principal.resume',
        'principal.suspend',
        'principal.update',
        'request.relay',
      ],
      groups: ['staff'],
      attributes: ['team'],
      caps: { provisions: 2, provisionsPerHour: 2, removals: 1, removalsPerHour: 1 },
    }),
  },
  [delegate],
);
byDelegate('the delegate provisions alice in a domain that nobody trusts', provision);
admins('a domain', { type: 'domain.trust', domain: testDomain });
byDelegate('the delegate provisions alice', provision);
const alice = principalIdOf(ledger.lastLeaf);
byDelegate('the delegate provisions bob in a domain that its lease does not list', {
  ...provision,
  domain: 'other.example',
});
const activate = { type: 'principal.activate', principal: alice, key: own.publicKey.jwk } as const;
byDelegate('the delegate activates her', activate, [own]);
admins('admins activate her', activate, [own]);
const register: Operation = {
  type: 'agent.register',
  owner: alice,
  kind: 'autonomous',
  key: robot.publicKey.jwk,
};
const request = ledger.signRequest(register, `principal/${alice}`, own, { cosigners: [robot] });
write('alice registers an agent; the delegate wraps her request', ledger.sign({ request }, delegate));
write('the same request again', ledger.sign({ request }, delegate));
byDelegate('the delegate changes an attribute that its lease lists', {
  type: 'principal.update',
  principal: alice,
  attributes: { team: 'red' },
});
byDelegate('the delegate changes one that it does not list', {
  type: 'principal.update',
  principal: alice,
  attributes: { level: 9, team: 'red' },
});
const keys = [own.publicKey.thumbprint];
byDelegate('the delegate suspends alice', { type: 'principal.suspend', principal: alice });
admins('admins suspend alice too', { type: 'principal.suspend', principal: alice });
byDelegate('the delegate ends its suspension: that of the admins holds', {
  type: 'principal.resume',
  principal: alice,
  keys,
});
byDelegate('the delegate resumes her', { type: 'principal.resume', principal: alice, keys });
admins('admins resume her', { type: 'principal.resume', principal: alice, keys });
byDelegate('the delegate takes away more than its caps allow', {
  type: 'member.remove',
  group: 'staff',
  member: `principal/${alice}`,
});
admins(
  'a lease of another connection',
  {
    type: 'delegate.grant',
    key: stranger.publicKey.jwk,
    lease: ledger.lease({ operations: ['key.revoke', 'principal.suspend'], connection: 'other' }),
  },
  [stranger],
);
write(
  'its delegate suspends alice',
  ledger.sign({ op: { type: 'principal.suspend', principal: alice } }, stranger),
);
byDelegate('the delegate provisions one more', { ...provision, groups: [] });
byDelegate('the delegate provisions more than its caps allow', { ...provision, groups: [] });
admins('the domain is distrusted', { type: 'domain.distrust', domain: testDomain });
admins('admins take her out of a group', {
  type: 'member.remove',
  group: 'staff',
  member: `principal/${alice}`,
});
write(
  'the delegate, when its lease has ended',
  ledger.sign({ op: { ...provision, groups: [] } }, delegate, [], { time: ledger.time + 86_400 }),
);

const document = {
  about:
    'Leaves of one log in order, and what apply says to each; keys are Ed25519 seeds SHA-256("bulla vector <name>").',
  account: ledger.account,
  leaves,
  state: parseJson(Buffer.from(canonicalJson(Object.fromEntries(ledger.state)))),
};
writeFileSync(new URL('log-rules.json', import.meta.url), `${JSON.stringify(document, null, 1)}\n`);
