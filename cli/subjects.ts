import { CliError } from './errors.ts';
import type { Ledger } from './ledger.ts';

const principal = /^prn_[0-9a-f]{32}$/u;
const agent = /^agt_[0-9a-f]{32}$/u;
const thumbprint = /^[A-Za-z0-9_-]{43}$/u;

export function isThumbprint(text: string): boolean {
  return thumbprint.test(text);
}

/** Whether this is a whole id of a person. */
export function isPrincipalId(text: string): boolean {
  return principal.test(text);
}

/**
 * The person or agent meant: a whole id, or the beginning of one that only one subject has (at least 6 characters after
 * `prn_` or `agt_`).
 *
 * @throws {CliError} `argument_invalid`, `subject_unknown`.
 */
export function subjectId(ledger: Ledger, text: string, kind?: 'prn' | 'agt'): string {
  const prefix = text.slice(0, 3);
  if (!/^(?:prn|agt)_[0-9a-f]{6,32}$/u.test(text) || (kind !== undefined && kind !== prefix)) {
    const wanted = kind === undefined ? '`prn_…` or `agt_…`' : `\`${kind}_…\``;
    throw new CliError('argument_invalid', `\`${text}\` is not an id like ${wanted}`);
  }
  if (principal.test(text) || agent.test(text)) return requireKnown(ledger, text);
  const ids = ledger.names(prefix === 'prn' ? 'principal/' : 'agent/').filter((id) => id.startsWith(text));
  const [id] = ids;
  if (id === undefined) throw unknown(text);
  if (ids.length > 1)
    throw new CliError('argument_invalid', `\`${text}\` is the beginning of ${ids.length} ids`);
  return id;
}

function requireKnown(ledger: Ledger, id: string): string {
  const known = ledger.trust.read(principal.test(id) ? `principal/${id}` : `agent/${id}`);
  if (known === undefined) throw unknown(id);
  return id;
}

function unknown(text: string): CliError {
  return new CliError('subject_unknown', `the trust log knows no \`${text}\``);
}

/** A status, with who suspended the person or agent: each of them has to take that back, or somebody of higher rank. */
export function withSources(record: {
  readonly status: string;
  readonly suspensions: readonly string[];
}): string {
  const { status, suspensions } = record;
  return suspensions.length === 0 ? status : `${status} (by ${suspensions.join(', ')})`;
}

/** The record key of a person or agent. */
export function subjectKey(id: string): `principal/${string}` | `agent/${string}` {
  return id.startsWith('agt_') ? `agent/${id}` : `principal/${id}`;
}
