import type { JsonObject } from '@bulla/verifier/envelope';

/**
 * What an event does to the person it is about.
 *
 * `suspend`       adds this stream's suspension: envelopes refused, agents down, until `resume`
 * `resume`        takes this stream's own suspension away, and no other
 * `end-sessions`  suspends and resumes in one write: envelopes refused, agents down, the person goes on
 * `revoke-keys`   revokes every live key of the person; no inverse
 * `deprovision`   the person leaves; no inverse
 * `ignore`        nothing
 */
export const eventActions = [
  'suspend',
  'resume',
  'end-sessions',
  'revoke-keys',
  'deprovision',
  'ignore',
] as const;

export type EventAction = (typeof eventActions)[number];

const caep = 'https://schemas.openid.net/secevent/caep/event-type/';
const risc = 'https://schemas.openid.net/secevent/risc/event-type/';
const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/';
const scim = 'urn:ietf:params:scim:event:';

/** About the stream itself (Shared Signals Framework 1.0 sections 8.1.4.1 and 8.1.5). */
export const verificationType: string = `${ssf}verification`;
export const streamUpdatedType: string = `${ssf}stream-updated`;

/** What each known event does where the configuration says nothing; the order is that of docs/spec/events.md. */
export const defaultActions: ReadonlyMap<string, EventAction> = new Map<string, EventAction>([
  [`${caep}session-revoked`, 'end-sessions'],
  [`${caep}credential-change`, 'end-sessions'],
  [`${caep}device-compliance-change`, 'end-sessions'],
  [`${caep}assurance-level-change`, 'ignore'],
  [`${caep}risk-level-change`, 'ignore'],
  [`${caep}token-claims-change`, 'ignore'],
  [`${caep}session-established`, 'ignore'],
  [`${caep}session-presented`, 'ignore'],
  [`${risc}account-disabled`, 'suspend'],
  [`${risc}account-enabled`, 'resume'],
  [`${risc}account-purged`, 'suspend'],
  [`${risc}account-credential-change-required`, 'end-sessions'],
  [`${risc}credential-compromise`, 'end-sessions'],
  [`${risc}sessions-revoked`, 'end-sessions'],
  [`${risc}identifier-changed`, 'ignore'],
  [`${risc}identifier-recycled`, 'ignore'],
  [`${scim}prov:deactivate`, 'suspend'],
  [`${scim}prov:activate`, 'resume'],
  [`${scim}prov:delete`, 'suspend'],
  [`${scim}feed:add`, 'ignore'],
  [`${scim}feed:remove`, 'ignore'],
]);

/** The one spelling of a type that tables use: a URN is compared without regard to case (drafts of RFC 9967 wrote `SCIM`). */
export function eventType(uri: string): string {
  return /^urn:/iu.test(uri) ? uri.toLowerCase() : uri;
}

/**
 * Some events tell of a change in either direction. In the good one `suspend` turns into its inverse, everything else into
 * nothing. An event that does not say which way is taken for the bad one.
 */
export function actionOf(type: string, event: JsonObject, mapped: EventAction): EventAction {
  if (!isGoodNews(type, event)) return mapped;
  return mapped === 'suspend' ? 'resume' : 'ignore';
}

function isGoodNews(type: string, event: JsonObject): boolean {
  switch (type) {
    case `${caep}device-compliance-change`:
      return event['current_status'] === 'compliant';
    case `${caep}assurance-level-change`:
      return event['change_direction'] === 'increase';
    case `${caep}risk-level-change`:
      return event['current_level'] === 'LOW' || event['current_level'] === 'MEDIUM';
    default:
      return false;
  }
}
