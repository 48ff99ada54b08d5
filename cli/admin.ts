import { limits, type Signer } from '@bulla/verifier';
import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { audienceKey, type Operation } from '@bulla/verifier/log';
import { type PolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import type { Confirmed, Ledger } from './ledger.ts';

export type { FollowOptions, LedgerEntry } from './followed-log.ts';
export { createGenesis, type Genesis, type GenesisOptions } from './genesis.ts';
export { grantLease, type LeaseRequest, leaseOf, renewLease } from './leases.ts';
export { type AppendOptions, type Confirmed, Ledger, type LedgerOptions } from './ledger.ts';
export { type Setup, type SetupOptions, setUp } from './setup.ts';

/*
 * What admins do, and people where the rules let them, as functions that print nothing: whose ledger it is says who asks. Each
 * resolves once a checkpoint that covers the entry was seen, and throws what `Ledger.append` throws.
 */

/** A person, with the entries that made them. */
export interface NewPerson {
  /** `prn_…`. */
  readonly principal: string;
  readonly entries: readonly Confirmed[];
}

export interface PersonOptions {
  readonly groups?: readonly string[];
  readonly attributes?: JsonObject;
  /** May confirm other people's activation. */
  readonly sponsor?: boolean;
  /** E-mail domain. */
  readonly domain?: string;
  /** The person's key: with it they are activated at once, on the admin's word. Without it they stay pending. */
  readonly key?: Signer;
}

/** Provisions a person and, where their key is at hand, activates them. */
export async function addPerson(ledger: Ledger, options: PersonOptions): Promise<NewPerson> {
  const { groups = [], attributes = {}, sponsor = false, key } = options;
  const provisioned = await ledger.append({
    type: 'principal.provision',
    groups: [...new Set(groups)].sort(),
    attributes,
    sponsor,
    ...(options.domain !== undefined && { domain: options.domain }),
  });
  const principal = madeIn(provisioned, 'principal/');
  if (key === undefined) return { principal, entries: [provisioned] };
  return { principal, entries: [provisioned, await activatePerson(ledger, principal, key)] };
}

/** Replaces a person's attributes, and their e-mail domain where one is given. */
export function updatePerson(
  ledger: Ledger,
  principal: string,
  attributes: JsonObject,
  domain?: string,
): Promise<Confirmed> {
  const op = { type: 'principal.update', principal, attributes } as const;
  return ledger.append({ ...op, ...(domain !== undefined && { domain }) });
}

/** Lets delegates provision people in an e-mail domain that their lease lists. */
export function trustDomain(ledger: Ledger, domain: string): Promise<Confirmed> {
  return ledger.append({ type: 'domain.trust', domain });
}

/** Nobody is provisioned in this domain any more; who is there stays. */
export function distrustDomain(ledger: Ledger, domain: string): Promise<Confirmed> {
  return ledger.append({ type: 'domain.distrust', domain });
}

/** Activates a pending person with their first key. */
export function activatePerson(ledger: Ledger, principal: string, key: Signer): Promise<Confirmed> {
  const op = { type: 'principal.activate', principal, key: key.publicKey.jwk } as const;
  return ledger.append(op, { cosigners: [key] });
}

/** An agent, with the entry that made it. */
export interface NewAgent {
  /** `agt_…`: its `clientId`. */
  readonly agent: string;
  readonly entry: Confirmed;
}

export interface AgentRegistration {
  readonly owner: string;
  /** Default `autonomous`. */
  readonly kind?: 'autonomous' | 'interactive';
  /** Absent: an agent that exchanges outside tokens, and has no key in the log. */
  readonly key?: Signer | undefined;
}

export async function registerAgent(ledger: Ledger, registration: AgentRegistration): Promise<NewAgent> {
  const { owner, kind = 'autonomous', key } = registration;
  const op = { type: 'agent.register', owner, kind } as const;
  const entry =
    key === undefined
      ? await ledger.append(op)
      : await ledger.append({ ...op, key: key.publicKey.jwk }, { cosigners: [key] });
  return { agent: madeIn(entry, 'agent/'), entry };
}

/** Id of the one person or agent that an entry made. */
function madeIn({ change }: Confirmed, prefix: 'principal/' | 'agent/'): string {
  for (const [key, value] of change.writes) {
    const isNew = isJsonObject(value) && value['version'] === 0;
    if (isNew && key.startsWith(prefix)) return key.slice(prefix.length);
  }
  throw new Error(`an entry made no ${prefix}`);
}

/** Sets an agent's standing limits (`forbid` policies, EST JSON); replaces those that admins set before. */
export function limitAgent(ledger: Ledger, agent: string, policies: readonly Json[]): Promise<Confirmed> {
  return ledger.append({ type: 'agent.limit', agent, limits: policies });
}

/** Replaces the actions that an agent may do with a key that the mint alone vouches for. */
export function vouchFor(ledger: Ledger, agent: string, actions: readonly string[]): Promise<Confirmed> {
  return ledger.append({ type: 'agent.vouch', agent, actions: [...new Set(actions)].sort() });
}

/** An IdP whose log-ins confirm people: the members of `login.trust`. */
export type LoginTrust = Omit<Extract<Operation, { readonly type: 'login.trust' }>, 'type'>;

/** Lets log-ins at an IdP confirm people; replaces the trust of this name. */
export function trustLogin(ledger: Ledger, trust: LoginTrust): Promise<Confirmed> {
  return ledger.append({ type: 'login.trust', ...trust });
}

/** Ends a trust in an IdP, and its name for ever. Whom it confirmed stay as they are. */
export function distrustLogin(ledger: Ledger, name: string): Promise<Confirmed> {
  return ledger.append({ type: 'login.distrust', name });
}

/** Whom tokens of an outside issuer stand for: the members of `federation.trust`. */
export type OutsideTrust = Omit<Extract<Operation, { readonly type: 'federation.trust' }>, 'type'>;

/** Lets tokens of an outside issuer stand for an agent; replaces the trust of this name. */
export function trustOutside(ledger: Ledger, trust: OutsideTrust): Promise<Confirmed> {
  return ledger.append({ type: 'federation.trust', ...trust });
}

/** Ends a trust in an outside issuer: its name is dead for ever. */
export function distrustOutside(ledger: Ledger, name: string): Promise<Confirmed> {
  return ledger.append({ type: 'federation.distrust', name });
}

/** Gives a person or agent a further key. `subject`: `principal/<id>` or `agent/<id>`. */
export function addKey(ledger: Ledger, subject: string, key: Signer): Promise<Confirmed> {
  return ledger.append({ type: 'key.add', subject, key: key.publicKey.jwk }, { cosigners: [key] });
}

/** Makes a policy set the current one of a slot. It travels with the entry, and the entry names its digest. */
export function publishPolicy(
  ledger: Ledger,
  slot: string,
  document: PolicySetDocument,
  overlapSeconds?: number,
): Promise<Confirmed> {
  const digest = policySetDigest(document);
  const overlap = overlapSeconds === undefined ? {} : { overlapUntil: ledger.now() + overlapSeconds };
  return ledger.append({ type: 'policy.publish', slot, digest, ...overlap }, { documents: [document] });
}

/** Registers an API: its audience URL, the policy slot that decides for it, and how old trust state may be there. */
export function registerAudience(
  ledger: Ledger,
  audience: string,
  slot: string,
  maxStalenessSeconds: number = limits.defaultStalenessSeconds,
): Promise<Confirmed> {
  return ledger.append({ type: 'audience.register', audience, slot, maxStalenessSeconds });
}

/** The digest that decides for an audience now; undefined where the log knows no such active audience or policy. */
export function currentDigest(ledger: Ledger, audience: string): string | undefined {
  const record = ledger.trust.read(audienceKey(audience));
  if (record?.status !== 'active') return undefined;
  const slot = ledger.trust.read(`slot/${record.slot}`);
  return slot?.status === 'active' ? slot.digest : undefined;
}

export function createGroup(ledger: Ledger, group: string, isProtected = false): Promise<Confirmed> {
  return ledger.append({ type: 'group.create', group, protected: isProtected });
}

/** `member`: `principal/<id>` or `group/<name>`. */
export function addMember(ledger: Ledger, group: string, member: string): Promise<Confirmed> {
  return ledger.append({ type: 'member.add', group, member });
}

/** Suspends a person (`prn_…`, with all their agents) or an agent (`agt_…`). */
export function suspend(ledger: Ledger, id: string): Promise<Confirmed> {
  return ledger.append(
    id.startsWith('agt_')
      ? { type: 'agent.suspend', agent: id }
      : { type: 'principal.suspend', principal: id },
  );
}

/** Lifts a suspension. `keys`: thumbprints that survive; every other key of the subject is revoked for ever. */
export function resume(ledger: Ledger, id: string, keys: readonly string[]): Promise<Confirmed> {
  const survivors = [...new Set(keys)].sort();
  return ledger.append(
    id.startsWith('agt_')
      ? { type: 'agent.resume', agent: id, keys: survivors }
      : { type: 'principal.resume', principal: id, keys: survivors },
  );
}

/** Ends an agent, a person or a key (thumbprint) for ever. */
export function revoke(ledger: Ledger, id: string, since?: number): Promise<Confirmed> {
  if (id.startsWith('agt_')) return ledger.append({ type: 'agent.revoke', agent: id });
  if (id.startsWith('prn_')) return ledger.append({ type: 'principal.deprovision', principal: id });
  return ledger.append({ type: 'key.revoke', key: id, ...(since !== undefined && { since }) });
}

/** Revokes one capability by its id; `exp` (Unix seconds) says when the log may forget it. */
export function revokeCapability(ledger: Ledger, jti: string, exp: number): Promise<Confirmed> {
  return ledger.append({ type: 'capability.revoke', jti, exp });
}
