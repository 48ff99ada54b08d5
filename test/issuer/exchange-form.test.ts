import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExchangeChange, ExchangeWorld, exchangeGrant, tokenType } from '../kit/exchange.ts';

let world: ExchangeWorld;
beforeAll(async () => {
  world = await ExchangeWorld.create();
  await world.trust();
});
afterAll(async () => world.close());

describe('the form of an exchange', () => {
  const good: readonly (readonly [string, ExchangeChange])[] = [
    ['with nothing but what it needs', { form: { resource: [] } }],
    ['with the resource', {}],
    ['with `audience` in place of `resource`', { form: { resource: [], audience: ['https://api.example'] } }],
    ['that says which type it wants', { form: { requested_token_type: [`${tokenType}access_token`] } }],
    [
      'with empty parameters, which count as left out',
      { form: { scope: [''], actor_token_type: [], client_id: [''], authorization_details: [''] } },
    ],
    ['with parameters that nobody knows', { form: { custom: ['x', 'y'] } }],
    ['with a scope', { form: { scope: ['write read'] } }],
  ];
  test.each(good)('%s is taken', async (_, change) => {
    const answer = await world.exchange(world.github(), change);
    expect(answer).toMatchObject({
      status: 200,
      issued_token_type: `${tokenType}access_token`,
      token_type: 'DPoP',
    });
  });

  test('that names the agent is taken', async () => {
    const form = { client_id: [world.agent.id] };
    expect((await world.exchange(world.github(), { form })).status).toBe(200);
  });

  const bad: readonly (readonly [string, ExchangeChange, string, string])[] = [
    ['without a subject token', { form: { subject_token: [] } }, 'parameter_invalid', 'invalid_request'],
    ['without its type', { form: { subject_token_type: [] } }, 'parameter_invalid', 'invalid_request'],
    [
      'with two subject tokens',
      { form: { subject_token: ['a', 'b'] } },
      'parameter_invalid',
      'invalid_request',
    ],
    [
      'of a type that is not taken',
      { form: { subject_token_type: [`${tokenType}saml2`] } },
      'parameter_invalid',
      'invalid_request',
    ],
    [
      'of a type by its last word',
      { form: { subject_token_type: ['jwt'] } },
      'parameter_invalid',
      'invalid_request',
    ],
    [
      'for a type that is not given',
      { form: { requested_token_type: [`${tokenType}refresh_token`] } },
      'parameter_invalid',
      'invalid_request',
    ],
    [
      'with an actor token',
      { form: { actor_token: ['x'], actor_token_type: [`${tokenType}jwt`] } },
      'parameter_invalid',
      'invalid_request',
    ],
    ['with a client secret', { form: { client_secret: ['x'] } }, 'client_unauthenticated', 'invalid_client'],
    [
      'with a client assertion',
      { form: { client_assertion: ['a.b.c'] } },
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'with HTTP authentication',
      { headers: { authorization: 'Basic YTpi' } },
      'client_unauthenticated',
      'invalid_client',
    ],
    [
      'of another grant',
      { form: { grant_type: ['urn:ietf:params:oauth:grant-type:jwt-bearer'] } },
      'grant_type_unsupported',
      'unsupported_grant_type',
    ],
    [
      'with two grants',
      { form: { grant_type: [exchangeGrant, 'client_credentials'] } },
      'parameter_invalid',
      'invalid_request',
    ],
    [
      'with one resource twice',
      { form: { audience: ['https://api.example'] } },
      'target_refused',
      'invalid_target',
    ],
    ['with a scope that is none', { form: { scope: ['re"ad'] } }, 'scope_refused', 'invalid_scope'],
    [
      'with a scope nobody knows',
      { form: { scope: ['read orders profile history'] } },
      'scope_refused',
      'invalid_scope',
    ],
    [
      'with more scopes than anybody has',
      { form: { scope: [Array.from({ length: 65 }, (_, index) => `s${index}`).join(' ')] } },
      'scope_refused',
      'invalid_scope',
    ],
  ];
  test.each(bad)('%s is refused', async (_, change, code, error) => {
    const answer = await world.exchange(world.github(), change);
    expect({ code: answer.code, error: answer.error }).toEqual({ code, error });
    expect(answer.error_description).toMatch(/^[\u0020\u0021\u0023-\u005b\u005d-\u007e]+$/u);
    expect(answer.access_token).toBeUndefined();
  });
});

test('metadata names both grants and every way to authenticate', async () => {
  const path = `/.well-known/oauth-authorization-server${world.issuer.base}`;
  const metadata: unknown = await (await world.issuer.issuer.app.request(path)).json();
  expect(metadata).toMatchObject({
    grant_types_supported: ['client_credentials', exchangeGrant],
    token_endpoint_auth_methods_supported: [
      'private_key_jwt',
      'client_secret_basic',
      'client_secret_post',
      'none',
    ],
  });
});

const vectors = join(process.env['BULLA_VECTORS'] ?? '../shared/vectors', 'oauth-events');
const load = (name: string): unknown => JSON.parse(readFileSync(join(vectors, name), 'utf8'));

describe.skipIf(!existsSync(vectors))('requests of the RFCs', () => {
  interface Exchanges {
    readonly requests: readonly {
      readonly name: string;
      readonly authorization?: string;
      readonly form: Readonly<Record<string, string>>;
    }[];
  }
  /** Their tokens are nobody's here: what matters is which step says so. */
  const verdicts: Readonly<Record<string, string>> = {
    '2.3 access token exchange': 'client_unauthenticated',
    '2.3 access token exchange, without client authentication': 'federation_token_invalid',
    'A.1 impersonation': 'federation_unknown',
  };

  test('RFC 8693: each is read, and refused for what it is', async () => {
    const { requests } = load('rfc8693-token-exchange.json') as Exchanges;
    const given: Record<string, string | undefined> = {};
    for (const { name, authorization, form } of requests) {
      const lists = Object.fromEntries(Object.entries(form).map(([key, value]) => [key, [value]]));
      const send = async (headers?: Record<string, string>): Promise<string | undefined> =>
        (await world.exchange('', { form: { resource: [], ...lists }, ...(headers && { headers }) })).code;
      given[name] = await send(authorization === undefined ? undefined : { authorization });
      if (authorization !== undefined) given[`${name}, without client authentication`] = await send();
    }
    expect(given).toEqual(verdicts);
  });

  test('RFC 9396: details of other types are refused, not passed over; malformed ones too', async () => {
    const { good, bad } = load('rfc9396-authorization-details.json') as {
      readonly good: readonly unknown[];
      readonly bad: readonly { readonly value: unknown }[];
    };
    const all = [...good, ...bad.map(({ value }) => value)];
    expect(all.length).toBeGreaterThanOrEqual(6);
    for (const details of all) {
      const form = { authorization_details: [JSON.stringify(details)] };
      expect(await world.exchange(world.github(), { form })).toMatchObject({
        status: 400,
        error: 'invalid_authorization_details',
        code: 'details_refused',
      });
    }
  });
});
