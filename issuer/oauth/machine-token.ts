import { isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import { IssuerRefusal } from '../errors.ts';
import type { Party } from '../mint/party.ts';

const maxScopes = 64;

/**
 * Holds an access token of an identity provider to what it says about its client, as Auth0 and others write it: that it came of client
 * credentials (`gty`), for whom (`owner`), whether a person sits at it (`agent_type`), for which key (`cnf`). A claim that is
 * absent demands nothing here; an admin demands it with `federation.trust`.
 *
 * @throws {IssuerRefusal} `subject_token_refused`.
 */
export function requireMachineToken(claims: JsonObject, party: Party, keyThumbprint: string): void {
  const { gty, owner, agent_type: kind, cnf } = claims as Readonly<Record<string, unknown>>;
  if (gty !== undefined && gty !== 'client-credentials' && gty !== 'client_credentials') {
    throw refused('was not given for client credentials');
  }
  if (kind !== undefined && kind !== party.agent?.kind) {
    throw refused('is of another `agent_type` than the agent has in the log');
  }
  // Names of the identity provider's own mean nothing to the log; an id of the log does.
  if (typeof owner === 'string' && owner.startsWith('prn_') && owner !== party.principal) {
    throw refused('names another `owner` than the agent has in the log');
  }
  if (cnf !== undefined && !(isJsonObject(cnf) && cnf['jkt'] === keyThumbprint)) {
    throw refused('is bound to another key, or in a way that cannot be checked here');
  }
}

/** Names in `scope` (RFC 9068 section 2.2.3); undefined where the token has no such claim. @throws {IssuerRefusal} `subject_token_refused`. */
export function scopeOf({ scope }: JsonObject): readonly string[] | undefined {
  if (scope === undefined) return undefined;
  if (typeof scope !== 'string') throw refused('has a `scope` that is not text');
  const names = [...new Set(scope.split(' ').filter((name) => name !== ''))];
  if (names.length > maxScopes) throw refused(`has over ${maxScopes} scopes`);
  return names;
}

function refused(message: string): IssuerRefusal {
  return new IssuerRefusal('subject_token_refused', `subject token ${message}`);
}
