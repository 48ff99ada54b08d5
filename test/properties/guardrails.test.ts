import type { Signer } from '@bulla/verifier';
import { type Lease, type Operation, type Records, suspensionSource } from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLedger, Ledger, managing, type Party, testDomain } from '../kit/log.ts';

/*
 * Law 2 for provisioning: whatever sequence of entries stolen delegate keys sign, and whatever admins and owners suspend in
 * between, caps, connections and the suspensions of others hold. What an entry did is read off the records, not off its name.
 */

type Person = NonNullable<Records[`principal/${string}`]>;
type Agent = NonNullable<Records[`agent/${string}`]>;
type Key = NonNullable<Records[`key/${string}`]>;

const caps = { provisions: 2, provisionsPerHour: 100, removals: 3, removalsPerHour: 100 };

class Stage {
  readonly ledger: Ledger = createLedger();
  readonly delegates: ReadonlyMap<string, Signer>;
  readonly people: readonly Party[];
  readonly agents: readonly Party[];
  /** Subjects from which each source took something away, and how many people it brought in. */
  readonly reduced = new Map<string, Set<string>>();
  readonly provisioned = new Map<string, number>();

  constructor() {
    const { ledger } = this;
    for (const group of ['staff', 'crew']) ledger.group(group);
    ledger.group('board', { protected: true });
    ledger.trustDomain();
    const lease: Partial<Lease> = { operations: managing, groups: ['staff'], attributes: ['team'], caps };
    const setup = (connection: string): Signer =>
      ledger.grant({ operations: ['principal.provision'], groups: ['staff'], connection });
    const [corp, other] = [setup('corp'), setup('other')];
    this.people = [corp, corp, other, other, undefined].map((by) => ledger.person(by && { by }));
    for (const { id } of this.people) {
      ledger.do({ type: 'member.add', group: 'staff', member: `principal/${id}` });
    }
    this.agents = this.people.map((person) => ledger.agent(person));
    this.delegates = new Map([
      ['corp', ledger.grant({ ...lease, connection: 'corp' })],
      ['corp again', ledger.grant({ ...lease, connection: 'corp' })],
      ['other', ledger.grant({ ...lease, connection: 'other' })],
      ['nobody', ledger.grant({ ...lease, operations: managing.slice(1) })],
    ]);
  }

  /** Applies an entry of a delegate, if it is accepted, and checks what it did. */
  play(by: Signer, op: Operation): void {
    const { ledger } = this;
    const leaf = ledger.sign({ op }, by);
    if (ledger.codeOf(leaf) !== 'accepted') return;
    const before = new Map(ledger.state);
    const { writes } = ledger.append(leaf);
    const lease = ledger.read(`delegate/${by.publicKey.thumbprint}`)?.lease;
    if (lease === undefined) throw new Error('the delegate is gone');
    for (const [key, after] of writes) {
      if (key === `delegate/${by.publicKey.thumbprint}`) continue;
      this.#check(lease, by.publicKey.thumbprint, key, before.get(key), after);
    }
  }

  #check(lease: Lease, jkt: string, key: string, before: unknown, after: unknown): void {
    const [kind = '', id = ''] = key.split('/');
    const source = suspensionSource(this.ledger.read, jkt);
    const reduced = this.reduced.get(source) ?? new Set();
    this.reduced.set(source, reduced);
    if (before === undefined) {
      expect([kind, (after as Person).connection, (after as Person).status]).toEqual([
        'principal',
        lease.connection,
        'pending',
      ]);
      this.provisioned.set(jkt, (this.provisioned.get(jkt) ?? 0) + 1);
      return;
    }
    expect(['principal', 'agent', 'key']).toContain(kind);
    this.#checkConnection(lease, kind, id);
    if (kind === 'key') {
      expect((after as Key).revokedSince).toBe((before as Key).revokedSince);
      if ((after as Key).status !== (before as Key).status) {
        reduced.add((after as Key).subject.split('/')[1] ?? '');
      }
      return;
    }
    if (isLess(before as Person | Agent, after as Person | Agent)) reduced.add(id);
    const [held, holds] = [before, after].map((record) => (record as Person | Agent).suspensions);
    expect(held?.filter((each) => each !== source)).toEqual(holds?.filter((each) => each !== source));
    if ((after as Person).status === 'active') expect(holds).toEqual([]);
  }

  /** A lease with a connection changes its own people; one without changes no one's groups or attributes. */
  #checkConnection(lease: Lease, kind: string, id: string): void {
    const { read } = this.ledger;
    if (lease.connection === undefined) return;
    const subject = kind === 'key' ? (read(`key/${id}`)?.subject ?? '') : `${kind}/${id}`;
    const [what, name = ''] = subject.split('/');
    const owner = what === 'agent' ? (read(`agent/${name}`)?.owner ?? '') : name;
    expect(read(`principal/${owner}`)?.connection).toBe(lease.connection);
  }
}

function isLess(before: Person | Agent, after: Person | Agent): boolean {
  const groups = (record: Person | Agent): number => ('groups' in record ? record.groups.length : 0);
  return (
    after.suspensions.length > before.suspensions.length ||
    (after.status !== before.status && ['revoked', 'deprovisioned'].includes(after.status)) ||
    groups(after) < groups(before) ||
    after.keys.length < before.keys.length
  );
}

const suspending = managing.filter((type) => /suspend|resume/u.test(type));

const step = fc.record({
  by: fc.constantFrom('corp', 'corp', 'corp again', 'other', 'nobody', 'admin', 'owner'),
  // Suspensions by several and their ends are what has most to go wrong.
  type: fc.constantFrom(...managing, ...suspending, ...suspending, ...suspending),
  person: fc.constantFrom(0, 0, 0, 1, 2, 3, 4),
  group: fc.constantFrom('staff', 'staff', 'crew', 'board'),
  team: fc.constantFrom('red', 'blue'),
  keepKeys: fc.boolean(),
  since: fc.boolean(),
  wait: fc.constantFrom(0, 0, 0, 4000),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function operationOf(stage: Stage, { type, person, group, team, keepKeys, since }: Step): Operation {
  const { ledger, people, agents } = stage;
  const { id: principal = '', signer } = people[person] ?? {};
  const { id: agent = '' } = agents[person] ?? {};
  const kept = (keys: readonly string[] | undefined): readonly string[] => (keepKeys ? (keys ?? []) : []);
  switch (type) {
    case 'principal.provision':
      return {
        type,
        groups: ['staff'],
        attributes: { team },
        sponsor: false,
        domain: testDomain,
      };
    case 'principal.update':
      return { type, principal, attributes: { team } };
    case 'principal.suspend':
    case 'principal.deprovision':
      return { type, principal };
    case 'principal.resume':
      return { type, principal, keys: kept(ledger.read(`principal/${principal}`)?.keys) };
    case 'member.add':
    case 'member.remove':
      return { type, group, member: `principal/${principal}` };
    case 'agent.resume':
      return { type, agent, keys: kept(ledger.read(`agent/${agent}`)?.keys) };
    case 'agent.suspend':
    case 'agent.revoke':
      return { type, agent };
    default:
      return { type: 'key.revoke', key: signer?.publicKey.thumbprint ?? '', ...(since && { since: 1 }) };
  }
}

test('no sequence of delegate entries takes away more than its caps, reaches another connection, or ends what others suspended', () => {
  let applied = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 80 }), (steps) => {
      const stage = new Stage();
      const { ledger, delegates } = stage;
      for (const each of steps) {
        ledger.time += each.wait;
        const op = operationOf(stage, each);
        const delegate = delegates.get(each.by);
        if (delegate !== undefined) stage.play(delegate, op);
        else if (each.by === 'admin') ledger.force(ledger.sign({ op }));
        else {
          const { id = '', signer = ledger.admin } = stage.people[each.person] ?? {};
          const subject = 'agent' in op ? `agent/${op.agent}` : `principal/${id}`;
          ledger.force(ledger.sign({ request: ledger.signRequest(op, subject, signer) }));
        }
      }
      applied += ledger.changes.filter((change) => change?.by.rank === 'delegate').length;
      // Two leases of one connection: their caps add up, because admins granted both.
      expect(stage.reduced.get('connection/corp')?.size ?? 0).toBeLessThanOrEqual(2 * caps.removals);
      expect(stage.reduced.get('connection/other')?.size ?? 0).toBeLessThanOrEqual(caps.removals);
      const nobody = delegates.get('nobody')?.publicKey.thumbprint ?? '';
      expect(stage.reduced.get(`delegate/${nobody}`)?.size ?? 0).toBeLessThanOrEqual(caps.removals);
      for (const count of stage.provisioned.values()) expect(count).toBeLessThanOrEqual(caps.provisions);
    }),
    { numRuns: 60 },
  );
  expect(applied).toBeGreaterThan(200);
});
