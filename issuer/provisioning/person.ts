import { domainToASCII } from 'node:url';
import { type Json, type JsonObject } from '@bulla/verifier/envelope';
import type { AddressRow, ResourceRow } from '../store/directory.ts';
import type { ConnectionConfig } from './connection.ts';

/** A person as an IdP describes them. */
export interface PersonData {
  /** As written; compared without case. */
  readonly userName: string;
  readonly externalId: string | null;
  /** The SCIM resource's own attributes: kept as they are, shown again, never a source of rights but through `attributes`. */
  readonly body: JsonObject;
  /** False: suspended by this source. True: not suspended by it. Absent: as it is (a new person: true). */
  readonly active?: boolean;
}

/** `userName` and `displayName` as the directory compares them. */
export function nameKey(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

/** Lower-cased addresses of `emails`, the primary one first. Attacker-controlled: whatever is no text is left out. */
function addressesOf(body: JsonObject): readonly string[] {
  const emails = member(body, 'emails');
  const entries = (Array.isArray(emails) ? emails : []).flatMap((entry) => {
    const value = isObject(entry) ? member(entry, 'value') : entry;
    const primary = isObject(entry) && member(entry, 'primary') === true;
    return typeof value === 'string' && value !== '' ? [{ address: value.toLowerCase(), primary }] : [];
  });
  const ordered = [...entries.filter(({ primary }) => primary), ...entries.filter(({ primary }) => !primary)];
  return [...new Set(ordered.map(({ address }) => address))];
}

/** Rows by which a person is found by address: of `emails`, and the `userName` where it is one. */
export function addressRows(id: string, { userName, body }: PersonData): readonly AddressRow[] {
  const names = domainIn(userName) === undefined ? [] : [userName.toLowerCase()];
  return [...new Set([...names, ...addressesOf(body)])].map((address) => ({ id, address }));
}

/**
 * The e-mail domain by which the log judges who may be provisioned: of the `userName` where that is an address, else the
 * connection's default, else of the first e-mail address; undefined: none. Lower-case, IDN as `xn--`.
 */
export function domainOf({ userName, body }: PersonData, connection: ConnectionConfig): string | undefined {
  return domainIn(userName) ?? connection.defaultDomain ?? domainIn(addressesOf(body)[0] ?? '');
}

function domainIn(address: string): string | undefined {
  const at = address.lastIndexOf('@');
  const domain = at > 0 ? domainToASCII(address.slice(at + 1)) : '';
  return domain === '' ? undefined : domain;
}

/** The attributes that the connection writes into the log: log name -> value; what the person does not have is left out. */
export function loggedAttributes(body: JsonObject, connection: ConnectionConfig): JsonObject {
  const found: Record<string, Json> = {};
  for (const [path, name] of Object.entries(connection.attributes)) {
    const value = plainValue(valueAt(body, path));
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** The `userName` as the IdP wrote it. */
export function userNameOf(row: ResourceRow): string {
  const body = JSON.parse(row.body) as JsonObject;
  const name = member(body, 'userName');
  return typeof name === 'string' ? name : row.name;
}

/** `name.familyName`, `urn:…:User:department`: members by dots, a schema before the last colon. SCIM names have no case. */
function valueAt(body: JsonObject, path: string): Json | undefined {
  const colon = path.lastIndexOf(':');
  const inside = colon === -1 ? body : member(body, path.slice(0, colon));
  let value: Json | undefined = inside;
  for (const name of path.slice(colon + 1).split('.')) {
    value = isObject(value) ? member(value, name) : undefined;
  }
  return value;
}

/** Lists of complex values become the list of their `value`. Kinds that the log does not take are left for it to refuse. */
function plainValue(value: Json | undefined): Json | undefined {
  if (value === null) return undefined;
  if (!Array.isArray(value)) return value;
  return value.map((item) => (isObject(item) ? (member(item, 'value') ?? null) : item));
}

function member(object: JsonObject, name: string): Json | undefined {
  const wanted = name.toLowerCase();
  const key = Object.keys(object).find((each) => each.toLowerCase() === wanted);
  return key === undefined ? undefined : object[key];
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
