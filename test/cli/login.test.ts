import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutsideIssuer } from '../kit/federation.ts';
import { Desk } from './desk.ts';

let desk: Desk;
const idp = new OutsideIssuer();
const next = new OutsideIssuer('RS256');
beforeAll(async () => {
  desk = await Desk.withIssuer();
});
afterAll(async () => {
  await desk.close();
});

const jwks = (...keys: readonly unknown[]): string => desk.write('keys.json', JSON.stringify({ keys }));
const how = ['--issuer', 'https://idp.example', '--client-id', 'bulla'];
const args = (name: string, ...more: readonly string[]): readonly string[] =>
  ['admin', 'login', 'trust', name].concat(how, more);
const listed = async (name: string): Promise<unknown> => {
  const { logins } = await desk.json('admin', 'login', 'list');
  return (logins as readonly { readonly name: string }[]).find((each) => each.name === name);
};

describe('an identity provider whose log-ins confirm people', () => {
  test('is trusted with the keys of a file, by `sub`', async () => {
    const file = jwks({ ...idp.jwk, kid: 'a' }, { kty: 'oct' });
    expect(await desk.json(...args('corp', '--jwks', file))).toMatchObject({
      done: 'login.trust',
      skipped: 1,
      source: file,
    });
    expect(await listed('corp')).toEqual({
      name: 'corp',
      status: 'trusted',
      issuer: 'https://idp.example',
      audience: 'bulla',
      claim: 'sub',
      keys: [idp.thumbprint],
    });
  });

  test('is trusted with one key of several, by `oid`; the same name again replaces it', async () => {
    const file = jwks(idp.jwk, next.jwk);
    await desk.json(...args('entra', '--jwks', file));
    await desk.json(...args('entra', '--jwks', file, '--pin', next.thumbprint, '--claim', 'oid'));
    expect(await listed('entra')).toMatchObject({ claim: 'oid', keys: [next.thumbprint] });
  });

  test('is not trusted by another claim, with a key that it does not publish, or with none', async () => {
    const file = jwks(idp.jwk);
    expect(await desk.failure(args('no', '--jwks', file, '--claim', 'email'))).toBe('2 argument_invalid');
    expect(await desk.failure(args('no', '--jwks', file, '--pin', next.thumbprint))).toMatch(
      / key_set_unusable$/u,
    );
    expect(await desk.failure(args('no', '--jwks', jwks({ kty: 'oct' })))).toMatch(/ key_set_unusable$/u);
  });

  test('is distrusted for ever', async () => {
    const file = jwks(idp.jwk);
    await desk.json(...args('gone', '--jwks', file));
    expect(await desk.json('admin', 'login', 'distrust', 'gone')).toMatchObject({ done: 'login.distrust' });
    expect(await listed('gone')).toMatchObject({ status: 'distrusted' });
    expect(await desk.failure(args('gone', '--jwks', file))).toBe('3 rule_login_dead');
    expect(await desk.failure(['admin', 'login', 'distrust', 'gone'])).toBe('3 rule_login_untrusted');
  });
});
