import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allScopes, type OpenApi, UsersApiWorld } from '../kit/users-api.ts';

let api: UsersApiWorld;
let document: OpenApi;
beforeAll(async () => {
  api = await UsersApiWorld.create({ clients: [{ id: 'partner', perMinute: 6000 }] });
  document = await api.document();
});
afterAll(async () => api.remove());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => {
      const [scope = ''] = Object.values(security[0] ?? {}).flat() as string[];
      return { method: method.toUpperCase(), path, scope };
    }),
  );

test('is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  expect(document.openapi).toMatch(/^3\.1/u);
  expect(document.servers[0]?.url).toBe(`${api.world.issuerId}/api/v1`);
});

test('names every route that is served, and no other', () => {
  const prefix = '/a/:account/api/v1';
  const served = api.world.issuer.app.routes
    .filter(({ path, method }) => path.startsWith(prefix) && method !== 'ALL')
    .map(({ path, method }) => `${method} ${path.slice(prefix.length).replaceAll(/:(\w+)/gu, '{$1}')}`);
  expect(served.length).toBeGreaterThan(0);
  expect(operations().map(({ method, path }) => `${method} ${path}`)).toEqual(served);
});

test('names for every operation the scope without which it is refused, and no other is needed', async () => {
  const ids = { '{id}': '', '{jkt}': 'A'.repeat(43) };
  for (const { method, path, scope } of operations()) {
    expect(allScopes).toContain(scope);
    const id = path.startsWith('/agents') ? `agt_${'0'.repeat(32)}` : `prn_${'0'.repeat(32)}`;
    const target = path.replace('{id}', id).replace('{jkt}', ids['{jkt}']);
    const others = allScopes.filter((each) => each !== scope).join(' ');
    const refused = await api.call(`${method} ${target}`, await api.token('partner', others));
    expect(refused).toMatchObject({ status: 403, body: { code: 'scope_insufficient' } });
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer error="insufficient_scope", scope="${scope}"`,
    );
    const allowed = await api.call(`${method} ${target}`, await api.token('partner', scope));
    expect(allowed.body['code']).toBe(target === path ? undefined : 'target_unknown');
  }
});
