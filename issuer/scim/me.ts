import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import type { ScimAnswer, ScimRequest } from './message.ts';
import { answer } from './protocol.ts';
import { refuse } from './refuse.ts';
import { UserCollection } from './users.ts';

/**
 * `/Me` (RFC 7644 section 3.11) of a person who holds a personal read token: the User that their connection keeps, to be read
 * and no more. What is wrong in it the IdP must change.
 *
 * @param principal whose token it is.
 * @throws {IssuerRefusal} `method_refused`, `scim_resource_unknown` where no connection of the configuration provisioned the person.
 */
export async function answerMe(
  account: Account,
  principal: string,
  request: ScimRequest,
): Promise<ScimAnswer> {
  if (request.method !== 'GET') throw new IssuerRefusal('method_refused', 'only GET is taken');
  const name = account.log.read(`principal/${principal}`)?.connection ?? '';
  const connection = account.connections.get(name);
  if (connection === undefined) {
    throw refuse('scim_resource_unknown', 'no connection of this issuer provisioned the person');
  }
  const base = `${account.endpoints.issuer}/scim/v2`;
  const access = {
    scopes: ['users:read'],
    collections: [new UserCollection(account, connection, base)],
    base,
  } as const;
  return answer(access, { ...request, path: `/Users/${principal}` });
}
