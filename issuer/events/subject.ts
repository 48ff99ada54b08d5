import { isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import type { SubjectAttribute, SubjectRules } from './config.ts';

/** An attribute of a person, and the value it must have. */
export interface SubjectQuery {
  readonly attribute: SubjectAttribute;
  readonly value: string;
}

export interface SubjectDemands {
  readonly rules: SubjectRules;
  /** `iss` that an `iss_sub` subject may have. */
  readonly issuers: readonly string[];
}

const maxValueLength = 512;
const maxAliases = 8;

/**
 * What a subject identifier (RFC 9493; `scim` of RFC 9967; `complex` of the Shared Signals Framework, by its `user`) says about
 * a person: whoever fits one of these may be meant. Empty: it names no person that the stream's rules could find, such as a device or
 * a session alone.
 *
 * Does NOT look anything up, and does not compare the other parts of a complex subject: an event about one session of a person
 * is taken for all of them.
 */
export function readSubject(subject: JsonObject, demands: SubjectDemands): readonly SubjectQuery[] {
  const { user } = subject;
  // Early drafts had no `format` beside the parts.
  if (subject['format'] === 'complex' || (subject['format'] === undefined && user !== undefined)) {
    return isJsonObject(user) && user['format'] !== 'complex' ? readSimple(user, demands) : [];
  }
  if (subject['format'] !== 'aliases') return readSimple(subject, demands);
  const { identifiers } = subject;
  if (!Array.isArray(identifiers) || identifiers.length > maxAliases) return [];
  return identifiers.flatMap((alias: unknown) => (isJsonObject(alias) ? readSimple(alias, demands) : []));
}

function readSimple(subject: JsonObject, { rules, issuers }: SubjectDemands): readonly SubjectQuery[] {
  switch (subject['format']) {
    case 'email':
      return queries(rules.email, subject['email']);
    case 'account':
      return queries(rules.email, withoutPrefix(subject['uri']));
    case 'iss_sub':
      return issuers.some((issuer) => issuer === subject['iss'])
        ? queries(rules.iss_sub, subject['sub'])
        : [];
    case 'opaque':
      return queries(rules.opaque, subject['id']);
    case 'scim':
      return rules.scim.flatMap((attribute) =>
        queries([attribute], attribute === 'id' ? lastSegment(subject['uri']) : subject[attribute]),
      );
    default:
      return [];
  }
}

function queries(attributes: readonly SubjectAttribute[], value: unknown): readonly SubjectQuery[] {
  if (typeof value !== 'string' || value === '' || value.length > maxValueLength) return [];
  return attributes.map((attribute) => ({ attribute, value }));
}

/** RFC 7565: `acct:alice@corp.example`. */
function withoutPrefix(uri: unknown): string | undefined {
  return typeof uri === 'string' && /^acct:/iu.test(uri) ? uri.slice('acct:'.length) : undefined;
}

/** `/Users/<id>`, or the whole address of the resource. Other kinds of resources name no person. */
function lastSegment(uri: unknown): string | undefined {
  return typeof uri === 'string' ? /\/Users\/([^/?#]+)$/u.exec(uri)?.[1] : undefined;
}
