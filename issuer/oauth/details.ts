import { Refusal } from '@bulla/verifier';
import {
  type AuthorizationDetail,
  type Json,
  narrowTo,
  parseAuthorizationDetails,
  parseJson,
} from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { IssuerRefusal } from '../errors.ts';

/** What a client asked for, and the `forbid` policies that hold it to that. */
export interface RequestedDetails {
  /** Echoed in the response as granted. Absent where nothing was asked. */
  readonly granted?: readonly AuthorizationDetail[];
  readonly narrow: readonly Json[];
}

/**
 * Reads `authorization_details` (RFC 9396) of type `bulla` and turns them into narrowing. Whatever they say, the result
 * only forbids (law 1). A name that the audience's schema does not know is refused here, where the client can be told.
 *
 * @throws {IssuerRefusal} `details_refused`.
 */
export function readDetails(text: string | undefined, document: PolicySetDocument): RequestedDetails {
  if (text === undefined) return { narrow: [] };
  let granted: readonly AuthorizationDetail[];
  try {
    granted = parseAuthorizationDetails(parseJson(Buffer.from(text)));
  } catch (cause) {
    if (cause instanceof Refusal) throw refused(cause.message, cause);
    throw cause;
  }
  requireKnown(granted, document);
  return { granted, narrow: narrowTo(granted) };
}

function requireKnown(granted: readonly AuthorizationDetail[], { schema }: PolicySetDocument): void {
  const actions = new Set<string>();
  const types = new Set<string>();
  for (const [namespace, fragment] of Object.entries(schema)) {
    const prefix = namespace === '' ? '' : `${namespace}::`;
    for (const type of Object.keys(fragment.entityTypes)) types.add(`${prefix}${type}`);
    // The verifier asks for `Action::"…"`: actions of other namespaces cannot be asked for.
    if (namespace === '') for (const action of Object.keys(fragment.actions)) actions.add(action);
  }
  for (const detail of granted) {
    for (const action of detail.actions) {
      if (!actions.has(action)) throw refused(`no action \`${printable(action)}\` at this resource`);
    }
    for (const { type } of detail.resources ?? []) {
      if (!types.has(type)) throw refused(`no resource type \`${printable(type)}\` at this resource`);
    }
  }
}

/** The client's own word, shown to that client alone: short, and only characters RFC 6749 lets into a description. */
function printable(text: string): string {
  return text.replaceAll(/[^\u0020\u0021\u0023-\u005b\u005d-\u007e]/gu, '?').slice(0, 64);
}

function refused(message: string, cause?: unknown): IssuerRefusal {
  return new IssuerRefusal('details_refused', `\`authorization_details\`: ${message}`, { cause });
}
