import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuardWorld, json, order } from './guarded.ts';

let guard: GuardWorld;
beforeEach(async () => {
  guard = await GuardWorld.start();
});
afterEach(() => guard.close());

const paymentUrl = '/payments/7?currency=EUR';

describe('values of a row', () => {
  const asked = (body: string, headers: Record<string, string> = json, url = paymentUrl) =>
    guard.envoy(guard.proven({ method: 'POST', url, body, headers }));

  test.each([
    ['no JSON', '{'],
    ['two members of one name', '{"team":"blue","lines":[{"amount":900,"amount":1}]}'],
    [
      'two members of one name, one of them escaped',
      '{"team":"blue","t\\u0065am":"red","lines":[{"amount":1}]}',
    ],
    ['names that differ in case alone', '{"team":"blue","Team":"red","lines":[{"amount":1}]}'],
    ['names that Go takes for the same', '{"team":"blue","lines":[{"amount":1}],"lineſ":[{"amount":900}]}'],
    ['a missing value', '{"team":"blue","lines":[]}'],
    ['a value under a text', '{"team":"blue","lines":"0"}'],
    ['a value of the prototype', '{"team":"blue","lines":{"__proto__":1}}'],
  ])('%s is route_input_invalid', async (_, body) => {
    expect(await asked(body)).toMatchObject({ status: 400, outcome: 'route_input_invalid' });
  });

  test('what no row reads may be any JSON', async () => {
    const body =
      '{"team":"blue","lines":[{"amount":1}],"big":123456789012345678901,"small":1e-9,"huge":1e300}';
    expect((await asked(body)).outcome).toBe('allow');
  });

  test.each([
    ['{"team":"blue","lines":[{"amount":"1"}]}'],
    ['{"team":"blue","lines":[{"amount":1.5}]}'],
    ['{"team":{"__entity":{"type":"User","id":"x"}},"lines":[{"amount":1}]}'],
  ])('the schema refuses another type: %s', async (body) => {
    expect((await asked(body)).outcome).toBe('value_invalid');
  });

  test('content with a text of megabytes is read', async () => {
    const large = await GuardWorld.start({
      maxBodyBytes: 16_777_216,
      envoy: { maxRequestBytes: 16_777_216 },
    });
    const body = JSON.stringify({ team: 'blue', lines: [{ amount: 1 }], note: 'x'.repeat(9_000_000) });
    const wire = large.proven({ method: 'POST', url: paymentUrl, body, headers: json });
    expect((await large.envoy(wire)).outcome).toBe('allow');
    await large.close();
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=utf-16'])(
    'content declared as %s is not read as JSON',
    async (type) => {
      expect((await asked(order(1), { 'content-type': type })).outcome).toBe('route_input_invalid');
    },
  );

  test.each([
    '/payments/7',
    '/payments/7?currency=EUR&currency=USD',
    '/payments/7?currency=EUR&Currency=USD',
    '/payments/7?currency=EUR;currency=USD',
    '/payments/7?currency=EUR&%20currency=USD',
    '/payments/7?currency=EUR&currency[]=USD',
    '/payments/7?currency=EUR&currency%00=USD',
  ])('the query of %s is not read', async (url) => {
    expect((await asked(order(1), json, url)).outcome).toBe('route_input_invalid');
  });

  test.each([
    ['/totals/99', 'EUR', 'allow'],
    ['/totals/101', 'EUR', 'policy_denied'],
    ['/totals/099', 'EUR', 'route_input_invalid'],
    ['/totals/1e1', 'EUR', 'route_input_invalid'],
    ['/totals/99', undefined, 'route_input_invalid'],
  ])('%s with the bound field %s: %s', async (url, currency, outcome) => {
    const headers = currency === undefined ? {} : { 'x-currency': currency };
    expect((await guard.nginx(guard.proven({ url, headers }))).outcome).toBe(outcome);
  });

  test('a field that the proof does not bind is not believed', async () => {
    const answer = await guard.nginx(guard.proven({ url: '/totals/1' }), {}, [['x-currency', 'EUR']]);
    expect(answer.outcome).toBe('proof_header_unbound');
  });
});
