import { IssuerRefusal } from '../errors.ts';

/** A token request whose form was checked; nothing in it is verified. */
export interface TokenParameters {
  /** As claimed; absent where the assertion alone names the client (RFC 7521 section 4.2). */
  readonly clientId: string | undefined;
  readonly assertion: string;
  readonly resources: readonly string[];
  readonly authorizationDetails: string | undefined;
}

const maxResources = 8;
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/**
 * Reads a form of `client_credentials` with a JWT assertion (RFC 6749 section 4.4, RFC 7523 section 2.2). Every parameter
 * but `resource` at most once; unknown ones are ignored, as RFC 6749 section 3.2 demands.
 *
 * @throws {IssuerRefusal} `parameter_invalid`, `grant_type_unsupported`, `scope_refused`, `client_unauthenticated`, `target_refused`.
 */
export function readTokenParameters(body: Uint8Array): TokenParameters {
  const form = new URLSearchParams(new TextDecoder().decode(body));
  const grantType = single(form, 'grant_type');
  if (grantType === undefined) throw new IssuerRefusal('parameter_invalid', 'no `grant_type`');
  if (grantType !== 'client_credentials') {
    throw new IssuerRefusal('grant_type_unsupported', '`grant_type` is not `client_credentials`');
  }
  if ((single(form, 'scope') ?? '') !== '') {
    throw new IssuerRefusal('scope_refused', 'no scopes here; ask for less with `authorization_details`');
  }
  if (form.has('client_secret')) {
    throw new IssuerRefusal('client_unauthenticated', 'clients authenticate with `private_key_jwt` only');
  }
  const assertion = single(form, 'client_assertion');
  if (assertion === undefined || single(form, 'client_assertion_type') !== assertionType) {
    throw new IssuerRefusal(
      'client_unauthenticated',
      `needs \`client_assertion\` and \`client_assertion_type\` \`${assertionType}\``,
    );
  }
  const resources = form.getAll('resource');
  if (resources.length > maxResources || new Set(resources).size !== resources.length) {
    throw new IssuerRefusal(
      'target_refused',
      `\`resource\` is repeated with the same value or over ${maxResources} times`,
    );
  }
  return {
    clientId: single(form, 'client_id'),
    assertion,
    resources,
    authorizationDetails: single(form, 'authorization_details'),
  };
}

function single(form: URLSearchParams, name: string): string | undefined {
  const values = form.getAll(name);
  if (values.length > 1) throw new IssuerRefusal('parameter_invalid', `\`${name}\` is repeated`);
  return values[0];
}
