import { Refusal } from '../errors.ts';
import { isJsonObject, type Json } from '../json.ts';
import { limits } from '../limits.ts';
import { claimDemands, federationName, outsideIssuer, webIssuer } from './federation-fields.ts';
import {
  type Field,
  flag,
  hash,
  integer,
  json,
  jsonObject,
  list,
  malformed,
  oneOf,
  publicJwk,
  shape,
  text,
  textSet,
} from './fields.ts';
import { loginProof } from './login-fields.ts';
import type { Lease, LeaseCaps, Operation, PersonLogin } from './operations.ts';

export type OperationType = Operation['type'];
export type Operations = { readonly [O in Operation as O['type']]: O };

const principalId = text(/^prn_[0-9a-f]{32}$/u);
const agentId = text(/^agt_[0-9a-f]{32}$/u);
export const accountId: Field<string> = text(/^acct_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/u);
/** `principal/<id>` or `agent/<id>`. */
export const subjectKey: Field<string> = text(/^(?:principal\/prn|agent\/agt)_[0-9a-f]{32}$/u);
const groupName = text(/^[a-z0-9][a-z0-9_-]{0,62}$/u);
const slotName = groupName;
const connectionName = groupName;
const member = text(/^(?:principal\/prn_[0-9a-f]{32}|group\/[a-z0-9][a-z0-9_-]{0,62})$/u);
const attributeName = text(/^[A-Za-z][A-Za-z0-9_]{0,62}$/u);
const operationName = text(/^[a-z]{1,16}\.[a-z]{1,16}$/u);
const policyDigest = text(/^sha-256:[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/u);
/** Absolute http(s) URL, RFC 3986 characters, no fragment, no userinfo. */
const audience = text(/^https?:\/\/[A-Za-z0-9.:[\]-]{1,255}(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,255})?$/u);
/** C2SP checkpoint origin: schema-less URL without a trailing slash. */
const origin = text(/^[a-z0-9](?:[a-z0-9.:-]{0,252})(?:\/[A-Za-z0-9._~-]{1,64}){0,8}$/u);
/** Id of a Cedar action: printable, no control characters. */
const actionId = text(/^[^\p{C}]{1,256}$/u);
const jti = text(/^[\x21-\x7e]{1,128}$/u);
const keys = textSet(hash, limits.maxKeysPerSubject);

/** Lower-case LDH labels, at least two, the last one starting with a letter. */
const domain = text(
  /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/u,
);
const login: Field<PersonLogin> = shape({ trust: federationName, hash });
const caps: Field<LeaseCaps> = shape({
  provisions: integer(0, 1_000_000_000),
  provisionsPerHour: integer(0, 1_000_000),
  removals: integer(0, 1_000_000_000),
  removalsPerHour: integer(0, 1_000_000),
});

const requiredOfLease = {
  operations: textSet(operationName, 32),
  groups: textSet(groupName, 256),
  attributes: textSet(attributeName, limits.maxAttributes),
  audiences: textSet(audience, 64),
  maxLifetimeSeconds: integer(0, limits.maxEnvelopeLifetimeSeconds),
  notAfter: integer(0),
  maxEntriesPerHour: integer(0, 1_000_000),
  maxEntries: integer(0, 1_000_000_000),
} as const;
const lease: Field<Lease> = shape(requiredOfLease, {
  connection: connectionName,
  domains: textSet(domain, limits.maxLeaseDomains),
  logins: textSet(federationName, limits.maxLeaseLogins),
  caps,
});

/** The members of each operation beside `type`. An unknown member is refused. */
const formats: { readonly [T in OperationType]: Field<Operations[T]> } = {
  'account.create': operation('account.create', {
    rules: integer(1),
    nonce: text(/^[A-Za-z0-9_-]{22,86}$/u),
    origin,
    logKey: publicJwk,
    admins: list(publicJwk, limits.maxAdmins),
    threshold: integer(1, limits.maxAdmins),
  }),
  'account.seal': operation('account.seal', { size: integer(1), root: hash, state: hash }),
  'account.rules': operation('account.rules', { rules: integer(1) }),
  'admin.add': operation('admin.add', { key: publicJwk }),
  'admin.remove': operation('admin.remove', { key: hash }),
  'delegate.grant': operation('delegate.grant', { key: publicJwk, lease }),
  'delegate.renew': operation('delegate.renew', { key: hash, notAfter: integer(0) }),
  'delegate.revoke': operation('delegate.revoke', { key: hash }),
  'log.key': operation('log.key', { key: publicJwk }),
  'domain.trust': operation('domain.trust', { domain }),
  'domain.distrust': operation('domain.distrust', { domain }),
  'principal.provision': operation(
    'principal.provision',
    { groups: textSet(groupName, limits.maxAncestors), attributes: jsonObject, sponsor: flag },
    { domain, login },
  ),
  'principal.update': operation(
    'principal.update',
    { principal: principalId, attributes: jsonObject },
    { domain },
  ),
  'principal.activate': operation(
    'principal.activate',
    { principal: principalId, key: publicJwk },
    { login: loginProof, recovery: publicJwk },
  ),
  'recovery.set': operation(
    'recovery.set',
    {
      principal: principalId,
      people: textSet(principalId, limits.maxRecoveryPeople),
      threshold: integer(0, limits.maxRecoveryPeople),
    },
    { key: publicJwk },
  ),
  'principal.suspend': operation('principal.suspend', { principal: principalId }),
  'principal.resume': operation('principal.resume', { principal: principalId, keys }),
  'principal.deprovision': operation('principal.deprovision', { principal: principalId }),
  'agent.register': operation(
    'agent.register',
    {
      owner: principalId,
      kind: oneOf('autonomous', 'interactive'),
    },
    { key: publicJwk },
  ),
  'agent.limit': operation('agent.limit', {
    agent: agentId,
    limits: list(json, limits.maxNarrowPoliciesPerBlock),
  }),
  'agent.suspend': operation('agent.suspend', { agent: agentId }),
  'agent.resume': operation('agent.resume', { agent: agentId, keys }),
  'agent.revoke': operation('agent.revoke', { agent: agentId }),
  'agent.vouch': operation('agent.vouch', {
    agent: agentId,
    actions: textSet(actionId, limits.maxVouchedActions),
  }),
  'federation.trust': operation(
    'federation.trust',
    {
      name: federationName,
      issuer: outsideIssuer,
      profile: oneOf('github', 'spiffe', 'oidc'),
      keys: textSet(hash, limits.maxOutsideKeys),
      claims: claimDemands,
      agent: agentId,
    },
    { audience: text(/^[\x21-\x7e]{1,255}$/u) },
  ),
  'federation.distrust': operation('federation.distrust', { name: federationName }),
  'login.trust': operation('login.trust', {
    name: federationName,
    issuer: webIssuer,
    keys: textSet(hash, limits.maxOutsideKeys),
    audience: text(/^[\x21-\x7e]{1,255}$/u),
    claim: oneOf('sub', 'oid'),
  }),
  'login.distrust': operation('login.distrust', { name: federationName }),
  'key.add': operation('key.add', { subject: subjectKey, key: publicJwk }),
  'key.rotate': operation('key.rotate', { old: hash, key: publicJwk }),
  'key.recover': operation('key.recover', { principal: principalId, key: publicJwk }),
  'key.revoke': operation('key.revoke', { key: hash }, { since: integer(0) }),
  'group.create': operation('group.create', { group: groupName, protected: flag }),
  'group.delete': operation('group.delete', { group: groupName }),
  'member.add': operation('member.add', { group: groupName, member }),
  'member.remove': operation('member.remove', { group: groupName, member }),
  'policy.publish': operation(
    'policy.publish',
    { slot: slotName, digest: policyDigest },
    { overlapUntil: integer(0) },
  ),
  'policy.overlap': operation('policy.overlap', { slot: slotName, until: integer(0) }),
  'policy.retire': operation('policy.retire', { slot: slotName }),
  'audience.register': operation('audience.register', {
    audience,
    slot: slotName,
    maxStalenessSeconds: integer(1, limits.maxStalenessSeconds),
  }),
  'audience.retire': operation('audience.retire', { audience }),
  'capability.revoke': operation('capability.revoke', { jti, exp: integer(0) }),
};

function operation<const T extends OperationType, R extends object, O extends object = object>(
  type: T,
  required: { readonly [K in keyof R]: Field<R[K]> },
  optional?: { readonly [K in keyof O]: Field<O[K]> },
): Field<{ readonly type: T } & R & Partial<O>> {
  const members = { type: oneOf(type), ...required };
  return shape<{ readonly type: T } & R, O>(
    members as Parameters<typeof shape<{ readonly type: T } & R, O>>[0],
    optional,
  );
}

/**
 * Reads one operation: exact members, types and bounds. Does NOT ask whether anybody may do it.
 *
 * @throws {Refusal} `entry_unknown` for a type this version has no rules for, else `entry_malformed`.
 */
export function readOperation(value: Json): Operation {
  if (!isJsonObject(value) || typeof value['type'] !== 'string') throw malformed('operation has no type');
  if (!Object.hasOwn(formats, value['type'])) {
    throw new Refusal('entry_unknown', 'operation of an unknown type');
  }
  return formats[value['type'] as OperationType](value);
}
