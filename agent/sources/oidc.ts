import { isJsonObject } from '@bulla/verifier/envelope';
import { readUrl } from '../config.ts';
import { AgentError } from '../errors.ts';
import type { CredentialSource } from '../source.ts';
import { type AskingOptions, askForJson } from './ask.ts';
import { requireCompact } from './compact.ts';

/** A client of an identity provider, and the token that is asked for. */
export interface ClientCredentialsOptions extends AskingOptions {
  /** Of the identity provider, not of our issuer. https, or http on loopback. */
  readonly tokenEndpoint: string;
  readonly clientId: string;
  /** Asked for again for every token where it is a function, so that a secret can be rotated. */
  readonly clientSecret: string | (() => string | Promise<string>);
  /** What Auth0 calls `audience`: for whom the token is, by default as the identity provider decides. */
  readonly audience?: string;
  readonly scope?: string;
  /** Further parameters of the form, such as `resource` (RFC 8707). */
  readonly parameters?: Readonly<Record<string, string>>;
  /** How the client authenticates. Default `post`. */
  readonly authentication?: 'post' | 'basic';
}

/**
 * An M2M access token of an identity provider by `client_credentials` (RFC 6749 section 4.4), in the shape of Auth0. Such a
 * token cannot be bound to a key: the envelope is `vouched`, for the actions that the agent's record lists.
 *
 * @throws {AgentError} `config_invalid` where `tokenEndpoint` is not acceptable.
 */
export function oidcClientCredentials(options: ClientCredentialsOptions): CredentialSource {
  const endpoint = readUrl(options.tokenEndpoint, 'tokenEndpoint');
  if (options.clientId === '') throw new AgentError('config_invalid', '`clientId` is empty');
  return {
    subjectToken: async () => {
      const answer = await askForJson(endpoint, await requestOf(options), options);
      const value = isJsonObject(answer) ? answer['access_token'] : undefined;
      return { token: requireCompact(value), type: 'access_token' };
    },
  };
}

async function requestOf(options: ClientCredentialsOptions): Promise<RequestInit> {
  const { clientId, clientSecret, audience, scope, parameters, authentication } = options;
  const secret = typeof clientSecret === 'string' ? clientSecret : await clientSecret();
  const form = new URLSearchParams({ ...parameters, grant_type: 'client_credentials' });
  if (audience !== undefined) form.set('audience', audience);
  if (scope !== undefined) form.set('scope', scope);
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  };
  if (authentication === 'basic') headers['authorization'] = basic(clientId, secret);
  else {
    form.set('client_id', clientId);
    form.set('client_secret', secret);
  }
  return { method: 'POST', headers, body: form.toString() };
}

/** RFC 6749 section 2.3.1: both are form-encoded first. */
function basic(clientId: string, secret: string): string {
  const encode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(clientId)}:${encode(secret)}`).toString('base64')}`;
}
