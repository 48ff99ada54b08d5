import { hash } from 'node:crypto';
import { Refusal } from '@bulla/verifier';
import { canonicalJson } from '@bulla/verifier/envelope';
import {
  type Operation,
  type PersonLogin,
  type Read,
  type Records,
  suspensionSource,
} from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import type { Connection } from './connection.ts';
import { domainOf, loggedAttributes, type PersonData } from './person.ts';

/** A person's record in the log. */
export type Principal = NonNullable<Records[`principal/${string}`]>;

/**
 * By which log-in the person will confirm themselves, where the connection has one and the resource names them to it. Fixed at
 * provisioning: the log takes no other later.
 *
 * @throws {IssuerRefusal} `login_trust_missing`: nobody would be able to confirm themselves.
 */
export function loginOf(
  { config }: Connection,
  data: PersonData,
  read: Read,
  ports: Pick<IssuerPorts, 'randomBytes'>,
): { readonly logged: PersonLogin; readonly salt: string } | undefined {
  if (config.login === undefined) return undefined;
  const { from, trust } = config.login;
  const record = read(`login/${trust}`);
  if (record?.status !== 'trusted') {
    throw new IssuerRefusal(
      'login_trust_missing',
      'the log trusts no log-ins by the name of this connection',
    );
  }
  const value = from === 'externalId' ? data.externalId : data.userName;
  if (value === null) return undefined;
  const salt = Buffer.from(ports.randomBytes(16)).toString('base64url');
  const { claim, issuer } = record;
  const hashed = hash('sha256', canonicalJson({ claim, issuer, salt, value }), 'base64url');
  return { logged: { trust, hash: hashed }, salt };
}

/** A new person in no group: the log gives them their id. */
export function provisionOf(
  connection: Connection,
  data: PersonData,
  login: PersonLogin | undefined,
): Operation {
  const { config } = connection;
  const domain = listable(domainOf(data, config));
  return {
    type: 'principal.provision',
    groups: [],
    attributes: loggedAttributes(data.body, config),
    sponsor: false,
    ...(domain !== undefined && { domain }),
    ...(login !== undefined && { login }),
  };
}

/** What the log keeps of a person's description, where it changed. Attributes that the connection does not map stay. */
export function updateOps(
  { config }: Connection,
  id: string,
  person: Principal,
  data: PersonData,
): readonly Operation[] {
  const mapped = new Set(Object.values(config.attributes));
  const others = Object.entries(person.attributes).filter(([name]) => !mapped.has(name));
  const attributes = { ...Object.fromEntries(others), ...loggedAttributes(data.body, config) };
  const domain = listable(domainOf(data, config)) ?? person.domain;
  const isSame = canonicalJson(attributes) === canonicalJson(person.attributes) && domain === person.domain;
  const moved = domain !== null && domain !== person.domain ? { domain } : {};
  return isSame ? [] : [{ type: 'principal.update', principal: id, attributes, ...moved }];
}

/** As `active` says, if this connection's own suspension is not so already. Ending others' is for the log to refuse. */
export function activeOps(
  { signer }: Connection,
  id: string,
  person: Principal,
  active: boolean | undefined,
  read: Read,
): readonly Operation[] {
  const isHeld = person.suspensions.includes(suspensionSource(read, signer.publicKey.thumbprint));
  if (active === false && !isHeld) return [suspension(id)];
  if (active !== true || person.status !== 'suspended') return [];
  return [{ type: 'principal.resume', principal: id, keys: person.keys }];
}

/** Suspends in the name of whoever signs. */
export function suspension(id: string): Operation {
  return { type: 'principal.suspend', principal: id };
}

/** An entry with another domain could not even be written: the IdP is to hear the rule, not that a form is wrong. */
function listable(domain: string | undefined): string | undefined {
  if (domain === undefined || /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/u.test(domain)) return domain;
  throw new Refusal('rule_domain_unlisted', 'domain is not one that a lease can list');
}
