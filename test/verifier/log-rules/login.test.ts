import type { Signer } from '@bulla/verifier';
import { loginHash, type Operation } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf as refusalOf } from '../../kit/codes.ts';
import { OutsideIssuer } from '../../kit/federation.ts';
import { createLedger, newSigner, testDomain } from '../../kit/log.ts';
import { LoginWorld } from '../../kit/login.ts';

const world = new LoginWorld(createLedger());
const { ledger } = world;
const key = newSigner();
const carol = world.pending('carol-17');

describe('login.trust', () => {
  const trust: Operation = {
    type: 'login.trust',
    name: 'other',
    issuer: 'https://idp.example',
    keys: [world.idp.thumbprint],
    audience: 'bulla',
    claim: 'oid',
  };
  const codeOf = (op: object): string => refusalOf(() => ledger.append(ledger.sign({ op: op as Operation })));
  test.each<[string, object, string]>([
    ['an IdP', trust, 'accepted'],
    ['no key', { ...trust, keys: [] }, 'rule_login_untrusted'],
    ['a SPIFFE domain', { ...trust, issuer: 'spiffe://prod.example' }, 'entry_malformed'],
    ['an empty audience', { ...trust, audience: '' }, 'entry_malformed'],
    ['a claim that everybody shares', { ...trust, claim: 'tid' }, 'entry_malformed'],
    ['a claim that is a name', { ...trust, claim: 'email' }, 'entry_malformed'],
    ['no claim', { ...trust, claim: undefined }, 'entry_malformed'],
  ])('%s', (_name, op, code) => {
    expect(codeOf(op)).toBe(code);
  });
  test('a name that was distrusted is dead for ever', () => {
    ledger.do({ ...trust, name: 'gone' });
    ledger.do({ type: 'login.distrust', name: 'gone' });
    expect(codeOf({ type: 'login.distrust', name: 'gone' })).toBe('rule_login_untrusted');
    expect(codeOf({ ...trust, name: 'gone' })).toBe('rule_login_dead');
  });
  test('who was never trusted confirms nobody, from the start', () => {
    const login = { trust: 'never', hash: world.login('x').hash };
    const op = { type: 'principal.provision', groups: [], attributes: {}, sponsor: false, login };
    expect(codeOf(op)).toBe('rule_login_untrusted');
  });
});

describe('activation by the new key with a log-in', () => {
  const other = 'rule_login_mismatch';
  const discloses = 'rule_login_discloses';
  const time = 'rule_login_time';
  const now = ledger.time;
  test.each<[string, Parameters<typeof world.claims>[2], string]>([
    ['as the IdP gives it', {}, 'accepted'],
    ['with all that runs the protocol', { auth_time: now, amr: ['pwd'], sid: 's', jti: 'j' }, 'accepted'],
    ['meant for us alone, in a list', { aud: ['client-1'] }, 'accepted'],
    ['meant for others too, and got by us', { aud: ['client-1', 'x'], azp: 'client-1' }, 'accepted'],
    ['meant for others too, and got by whom it does not say', { aud: ['client-1', 'x'] }, other],
    ['got by another', { azp: 'x' }, other],
    ['meant for another', { aud: 'x' }, other],
    ['of another issuer', { iss: 'https://idp.example/t2' }, other],
    ['of another account', { sub: 'mallory-3' }, other],
    ['of nobody', { sub: undefined }, other],
    ['of a number', { sub: 17 }, other],
    ['bound to nothing', { nonce: undefined }, 'rule_login_not_bound'],
    ['bound to another key', { nonce: newSigner().publicKey.thumbprint }, 'rule_login_not_bound'],
    ['with an e-mail address', { email: 'carol@corp.example' }, discloses],
    ['with a name', { preferred_username: 'carol' }, discloses],
    ['with groups', { groups: ['staff'] }, discloses],
    ['with more than words in a claim', { acr: { name: 'carol' } }, discloses],
    ['with more than words in a list', { amr: [{ name: 'carol' }] }, discloses],
    ['with more than a word in a claim', { sid: 's'.repeat(513) }, discloses],
    ['with an address as subject', { sub: 'carol@corp.example' }, discloses],
    ['with an end that has come', { exp: now }, time],
    ['without an end', { exp: undefined }, time],
    ['601 s old', { iat: now - 601 }, time],
    ['600 s old', { iat: now - 600 }, 'accepted'],
    ['from 31 s ahead', { iat: now + 31 }, time],
    ['without a beginning', { iat: undefined }, time],
    ['not good yet', { nbf: now + 31 }, time],
  ])('%s', (_name, change, code) => {
    expect(world.codeOf(world.activate(carol, 'carol-17', key, change), key)).toBe(code);
  });

  test('signed by a key that is not pinned, or by none', () => {
    const forger = new OutsideIssuer();
    const honest = world.activate(carol, 'carol-17', key);
    const token = forger.token(world.claims('carol-17', key));
    const { salt } = world;
    expect(world.codeOf({ ...honest, login: { token, jwk: forger.jwk, salt } }, key)).toBe(
      'rule_login_untrusted',
    );
    expect(world.codeOf({ ...honest, login: { token, jwk: world.idp.jwk, salt } }, key)).toBe(
      'federation_token_invalid',
    );
  });

  test('with another salt than was committed to', () => {
    const op = world.activate(carol, 'carol-17', key);
    const login = { jwk: world.idp.jwk, token: op.login?.token ?? '', salt: 'A'.repeat(22) };
    expect(world.codeOf({ ...op, login }, key)).toBe('rule_login_mismatch');
  });

  test('is asked for by the key itself, of a person with a log-in, wrapped by any relay', () => {
    const op = world.activate(carol, 'carol-17', key);
    const relay = ledger.grant({ operations: ['request.relay'] });
    expect(world.codeOf(op, key, relay)).toBe('accepted');
    const mallory = newSigner();
    expect(world.codeOf(op, mallory, relay, [key])).toBe('rule_key_not_live');
    expect(ledger.codeOf(ledger.sign({ op }, relay, [key]))).toBe('rule_not_permitted');
    expect(ledger.codeOf(ledger.sign({ op }, ledger.admin, [key]))).toBe('rule_login_unneeded');
    const plain = ledger.person({ pending: true });
    expect(world.codeOf(world.activate(plain.id, 'carol-17', key), key)).toBe('rule_login_untrusted');
  });

  test('stands no longer where the IdP is distrusted', () => {
    const own = new LoginWorld(createLedger());
    const dan = own.pending('dan-4');
    own.ledger.do({ type: 'login.distrust', name: own.trust });
    expect(own.codeOf(own.activate(dan, 'dan-4', key), key)).toBe('rule_login_untrusted');
  });

  test('is of assurance `login`; one account at the IdP confirms one person at a time', () => {
    const own = new LoginWorld(createLedger());
    const dan = own.pending('dan-4');
    const again = own.pending('dan-4');
    const first = own.confirm(dan, 'dan-4');
    expect(own.ledger.read(`principal/${dan}`)).toMatchObject({
      status: 'active',
      assurance: 'login',
      epoch: 1,
      keys: [first.publicKey.thumbprint],
    });
    expect(own.ledger.read(`key/${first.publicKey.thumbprint}`)?.addedBy).toBeNull();
    expect(own.codeOf(own.activate(again, 'dan-4', key), key)).toBe('rule_login_known');
    own.ledger.do({ type: 'principal.deprovision', principal: dan });
    expect(own.codeOf(own.activate(again, 'dan-4', key), key)).toBe('accepted');
  });

  test('may confirm whom a delegate provisions only at an IdP that its lease lists', () => {
    const own = new LoginWorld(createLedger());
    const { trust: contractors } = new LoginWorld(own.ledger, 'contractors');
    own.ledger.trustDomain();
    const [one, none] = [['corp'], []].map((logins) =>
      own.ledger.grant({ operations: ['principal.provision'], logins }),
    );
    const codeOf = (trust: string, delegate: Signer | undefined): string => {
      const login = { ...own.login('carol-17'), trust };
      const person = { groups: [], attributes: {}, sponsor: false, domain: testDomain, login };
      return own.ledger.codeOf(own.ledger.sign({ op: { type: 'principal.provision', ...person } }, delegate));
    };
    expect(codeOf('corp', one)).toBe('accepted');
    expect(codeOf(contractors, one)).toBe('rule_login_unlisted');
    expect(codeOf('corp', none)).toBe('rule_login_unlisted');
    expect(codeOf('nobodys', one)).toBe('rule_login_untrusted');
    expect(codeOf(contractors, own.ledger.admin)).toBe('accepted');
  });

  test('the commitment is the one that the specification writes', () => {
    const identity = { issuer: 'https://idp.example/t1', claim: 'sub', value: 'carol-17' } as const;
    expect(loginHash(identity, 'c2FsdHNhbHRzYWx0c2FsdA')).toBe('IG-XGTVJwifuqBUFvc-EGFRo1EXWeTnUYFLgVUZZQM0');
  });
});

describe("activation on a delegate's word", () => {
  const own = new LoginWorld(createLedger());
  const eve = own.ledger.grant({ operations: ['request.relay', 'principal.activate'] });
  const relay = own.ledger.grant({ operations: ['request.relay'] });
  const op = (principal: string, signer = key): Operation & { type: 'principal.activate' } => ({
    type: 'principal.activate',
    principal,
    key: signer.publicKey.jwk,
  });

  test('needs a lease that lists it', () => {
    const erin = own.pending('erin-1');
    expect(own.codeOf(op(erin), key, relay)).toBe('rule_not_sponsor');
    expect(own.codeOf(op(erin), key)).toBe('rule_not_sponsor');
    expect(own.codeOf(op(erin), key, eve)).toBe('accepted');
  });

  test('is not for people in a protected group, nor do they get into one', () => {
    own.ledger.group('board', { protected: true });
    const inside = own.pending('fred-1', { groups: ['board'] });
    expect(own.codeOf(op(inside), key, eve)).toBe('rule_not_confirmed');
    const outside = own.pending('gina-1');
    const signer = newSigner();
    own.ledger.ask(op(outside, signer), `principal/${outside}`, signer, { relay: eve });
    const join: Operation = { type: 'member.add', group: 'board', member: `principal/${outside}` };
    expect(own.ledger.codeOf(own.ledger.sign({ op: join }))).toBe('rule_not_confirmed');
    own.confirm(outside, 'gina-1');
    expect(own.ledger.codeOf(own.ledger.sign({ op: join }))).toBe('accepted');
  });

  test('gives way to a log-in, a sponsor or an admin: old keys and agents fall; never the reverse', () => {
    const sam = own.ledger.person({ sponsor: true });
    for (const way of ['login', 'sponsor', 'admin'] as const) {
      const id = own.pending(`hal-${way}`);
      const old = newSigner();
      const next = newSigner();
      own.ledger.ask(op(id, old), `principal/${id}`, old, { relay: eve });
      expect(own.ledger.read(`principal/${id}`)?.assurance).toBe('delegate');
      expect(own.codeOf(op(id, next), next, eve)).toBe('rule_status');
      const agent = own.ledger.agent({ id, signer: old });
      if (way === 'login') own.confirm(id, `hal-${way}`, next);
      else if (way === 'admin') own.ledger.do(op(id, next), [next]);
      else own.ledger.ask(op(id, next), `principal/${id}`, sam.signer, { cosigners: [next] });
      const person = own.ledger.read(`principal/${id}`);
      expect(person).toMatchObject({ assurance: way, epoch: 2, keys: [next.publicKey.thumbprint] });
      expect(own.ledger.read(`key/${old.publicKey.thumbprint}`)?.status).toBe('revoked');
      expect(own.ledger.read(`agent/${agent.id}`)?.ownerEpoch).toBe(1);
      const kept = agent.signer.publicKey.thumbprint;
      const resume: Operation = { type: 'agent.resume', agent: agent.id, keys: [kept] };
      expect(own.ledger.codeOf(own.ledger.sign({ op: resume }))).toBe('rule_key_not_live');
      const third = newSigner();
      expect(own.ledger.codeOf(own.ledger.sign({ op: op(id, third) }, own.ledger.admin, [third]))).toBe(
        'rule_status',
      );
    }
  });

  test('makes no sponsor', () => {
    const id = own.pending('ida-1', { sponsor: true });
    const ida = newSigner();
    own.ledger.ask(op(id, ida), `principal/${id}`, ida, { relay: eve });
    const pending = own.pending('jim-1');
    expect(own.codeOf(op(pending), ida, relay, [key])).toBe('rule_not_sponsor');
  });
});
