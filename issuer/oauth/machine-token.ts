import { isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { Party } from '../mint/party.ts';

/** Claims in which identity providers name the client that a token was given to. */
const clientClaims = ['client_id', 'azp', 'appid', 'cid'] as const;

const maxScopes = 64;

/**
 * Holds an access token of an identity provider to what it says about its client, as Auth0 and others write it: that it came of client
 * credentials (`gty`), for whom (`owner`), whether a person sits at it (`agent_type`), for which key (`cnf`). Of these a claim that is
 * absent demands nothing here; an admin demands it with `federation.trust`. Whether it is about the client at all is always asked: a
 * user who logs in at a client gets tokens with the same `azp`.
 *
 * @param demanded `claims` of the trust.
 * @throws {IssuerRefusal} `subject_token_refused`.
 */
export function requireMachineToken(
  claims: JsonObject,
  party: Party,
  keyThumbprint: string,
  demanded: FederationRecord['claims'],
): void {
  const { gty, owner, agent_type: kind, cnf } = claims as Readonly<Record<string, unknown>>;
  if (gty !== undefined && gty !== 'client-credentials' && gty !== 'client_credentials') {
    throw refused('was not given for client credentials');
  }
  if (gty === undefined && !Object.hasOwn(demanded, 'sub') && !isAboutClient(claims)) {
    throw refused('may be about a user: name `sub` in the trust');
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

/**
 * Without a resource owner `sub` is the client (RFC 9068 section 2.2), as Auth0 spells it `<id>@clients`. A token that leaves `sub` out
 * names nobody, unless it is of a session.
 */
function isAboutClient(claims: JsonObject): boolean {
  const { sub, sid, idtyp } = claims as Readonly<Record<string, unknown>>;
  if (idtyp !== undefined) return idtyp === 'app';
  if (sub === undefined) return sid === undefined;
  return clientClaims.some((name) => {
    const id = claims[name];
    return typeof id === 'string' && id !== '' && (sub === id || sub === `${id}@clients`);
  });
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
