import { IssuerRefusal } from '../errors.ts';

/** What every grant may say about the envelope that is asked for. */
interface Wanted {
  /** `resource` (RFC 8707) and `audience` (RFC 8693), in the order given. */
  readonly resources: readonly string[];
  readonly authorizationDetails: string | undefined;
  /** Names of the `scope` parameter. */
  readonly scope: readonly string[];
}

/** A token request whose form was checked; nothing in it is verified. */
export type TokenParameters = Wanted & (AssertionGrant | SecretGrant | ExchangeGrant);

/** `client_credentials` with `private_key_jwt`. */
export interface AssertionGrant {
  readonly grant: 'assertion';
  /** As claimed; absent where the assertion alone names the client (RFC 7521 section 4.2). */
  readonly clientId: string | undefined;
  readonly assertion: string;
}

/** `client_credentials` with `client_secret_basic` or `client_secret_post`. */
export interface SecretGrant {
  readonly grant: 'secret';
  readonly clientId: string;
  readonly secret: string;
}

/** RFC 8693. */
export interface ExchangeGrant {
  readonly grant: 'exchange';
  readonly clientId: string | undefined;
  readonly subjectToken: string;
  readonly subjectTokenType: 'jwt' | 'id_token' | 'access_token';
}

export const grantTypes: { readonly credentials: string; readonly exchange: string } = {
  credentials: 'client_credentials',
  exchange: 'urn:ietf:params:oauth:grant-type:token-exchange',
};
export const accessTokenType: string = 'urn:ietf:params:oauth:token-type:access_token';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const subjectTokenTypes: ReadonlyMap<string, ExchangeGrant['subjectTokenType']> = new Map([
  ['urn:ietf:params:oauth:token-type:jwt', 'jwt'],
  ['urn:ietf:params:oauth:token-type:id_token', 'id_token'],
  [accessTokenType, 'access_token'],
]);
const maxResources = 8;
const maxScopes = 64;
/** RFC 6749 section 3.3. */
const scopeName = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,256}$/u;

/**
 * Reads the form of a token request. Every parameter but `resource` and `audience` at most once; an empty one counts as left
 * out; unknown ones are ignored, as RFC 6749 section 3.2 demands. A client authenticates in one way (section 2.3).
 *
 * @param authorization the `Authorization` field.
 * @throws {IssuerRefusal} `parameter_invalid`, `grant_type_unsupported`, `scope_refused`, `client_unauthenticated`, `target_refused`.
 */
export function readTokenParameters(body: Uint8Array, authorization: string | undefined): TokenParameters {
  const form = new URLSearchParams(new TextDecoder().decode(body));
  const grantType = single(form, 'grant_type');
  if (grantType === undefined) throw new IssuerRefusal('parameter_invalid', 'no `grant_type`');
  if (grantType === grantTypes.exchange) {
    return { ...readExchange(form, authorization), ...readWanted(form) };
  }
  if (grantType !== grantTypes.credentials) {
    throw new IssuerRefusal(
      'grant_type_unsupported',
      `\`grant_type\` is neither \`${grantTypes.credentials}\` nor \`${grantTypes.exchange}\``,
    );
  }
  return { ...readClient(form, authorization), ...readWanted(form) };
}

/**
 * How a client authenticates in a token request: by an assertion or by a secret, in one way (RFC 6749 section 2.3).
 *
 * @throws {IssuerRefusal} `client_unauthenticated`, `parameter_invalid`.
 */
export function readClient(
  form: URLSearchParams,
  authorization: string | undefined,
): AssertionGrant | SecretGrant {
  return authorization === undefined && !form.has('client_secret')
    ? readAssertion(form)
    : readSecret(form, authorization);
}

function readExchange(form: URLSearchParams, authorization: string | undefined): ExchangeGrant {
  const credentials = ['client_secret', 'client_assertion', 'client_assertion_type'];
  if (authorization !== undefined || credentials.some((name) => form.has(name))) {
    throw unauthenticated('the subject token is the credential here: leave client authentication out');
  }
  if (form.has('actor_token') || form.has('actor_token_type')) {
    throw new IssuerRefusal('parameter_invalid', '`actor_token` is not taken: actors follow from the log');
  }
  const requested = single(form, 'requested_token_type') ?? accessTokenType;
  if (requested !== accessTokenType) {
    throw new IssuerRefusal('parameter_invalid', `\`requested_token_type\` is not \`${accessTokenType}\``);
  }
  const subjectToken = single(form, 'subject_token');
  const type = single(form, 'subject_token_type');
  if (subjectToken === undefined || type === undefined) {
    throw new IssuerRefusal('parameter_invalid', 'no `subject_token` or `subject_token_type`');
  }
  const subjectTokenType = subjectTokenTypes.get(type);
  if (subjectTokenType === undefined) {
    const names = [...subjectTokenTypes.keys()].map((name) => `\`${name}\``).join(', ');
    throw new IssuerRefusal('parameter_invalid', `\`subject_token_type\` is none of ${names}`);
  }
  return { grant: 'exchange', clientId: single(form, 'client_id'), subjectToken, subjectTokenType };
}

function readAssertion(form: URLSearchParams): AssertionGrant {
  const assertion = single(form, 'client_assertion');
  if (assertion === undefined || single(form, 'client_assertion_type') !== assertionType) {
    throw unauthenticated(
      `needs \`client_assertion\` and \`client_assertion_type\` \`${assertionType}\`, or a client secret`,
    );
  }
  return { grant: 'assertion', clientId: single(form, 'client_id'), assertion };
}

function readSecret(form: URLSearchParams, authorization: string | undefined): SecretGrant {
  const named = single(form, 'client_id');
  const posted = single(form, 'client_secret');
  if (form.has('client_assertion') || (authorization !== undefined && posted !== undefined)) {
    throw unauthenticated('client authenticates in two ways at once');
  }
  const { clientId, secret } =
    authorization === undefined ? { clientId: named, secret: posted } : readBasic(authorization);
  if (clientId === undefined || secret === undefined)
    throw unauthenticated('no `client_id` or client secret');
  if (named !== undefined && named !== clientId) {
    throw unauthenticated('`client_id` is another than that of the `Authorization` field');
  }
  return { grant: 'secret', clientId, secret };
}

/** RFC 6749 section 2.3.1: both parts are form-encoded before they are joined and encoded again. */
function readBasic(authorization: string): { readonly clientId: string; readonly secret: string } {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/iu.exec(authorization)?.[1];
  if (encoded === undefined) throw unauthenticated('`Authorization` is not of the scheme `Basic`');
  const decoded = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  try {
    if (colon > 0) {
      return {
        clientId: decodeFormComponent(decoded.slice(0, colon)),
        secret: decodeFormComponent(decoded.slice(colon + 1)),
      };
    }
  } catch {
    // Falls through: the error would quote what was sent.
  }
  throw unauthenticated('`Authorization` does not hold form-encoded client id and secret');
}

function decodeFormComponent(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '));
}

function readWanted(form: URLSearchParams): Wanted {
  const resources = [...form.getAll('resource'), ...form.getAll('audience')];
  if (resources.length > maxResources || new Set(resources).size !== resources.length) {
    throw new IssuerRefusal(
      'target_refused',
      `\`resource\` and \`audience\` repeat a value or name over ${maxResources}`,
    );
  }
  const scope = readScope(single(form, 'scope') ?? '');
  return { resources, authorizationDetails: single(form, 'authorization_details'), scope };
}

/** @throws {IssuerRefusal} `scope_refused`. */
export function readScope(text: string): readonly string[] {
  const names = [...new Set(text.split(' ').filter((name) => name !== ''))];
  if (names.length > maxScopes || !names.every((name) => scopeName.test(name))) {
    throw new IssuerRefusal('scope_refused', `\`scope\` is malformed or has over ${maxScopes} names`);
  }
  return names;
}

/** The value of a parameter that may be there once; an empty one counts as left out. @throws {IssuerRefusal} `parameter_invalid`. */
export function single(form: URLSearchParams, name: string): string | undefined {
  const values = form.getAll(name);
  if (values.length > 1) throw new IssuerRefusal('parameter_invalid', `\`${name}\` is repeated`);
  return values[0] === '' ? undefined : values[0];
}

function unauthenticated(message: string): IssuerRefusal {
  return new IssuerRefusal('client_unauthenticated', message);
}
