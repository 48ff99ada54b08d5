import type { Signer } from '@bulla/verifier';
import { bindingOf } from '@bulla/verifier/envelope';
import { type Operation, principalIdOf } from '@bulla/verifier/log';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OutsideIssuer } from '../kit/federation.ts';
import { createLedger, newSigner } from '../kit/log.ts';
import { LoginWorld } from '../kit/login.ts';
import { HostileIssuer } from './hostile.ts';

// Law 2 where people come from: Eve has the issuer, every code and salt in its database, and an account of her own at the IdP.

type Activate = ReturnType<LoginWorld['activate']>;

let hostile: HostileIssuer;
let login: LoginWorld;
beforeAll(async () => {
  hostile = await HostileIssuer.create();
  login = new LoginWorld(hostile.ledger);
  await hostile.publish();
});
afterAll(() => hostile.close());

const both = (code: string) => [code, code];

/** An honest person whom an admin provisioned, and who has not confirmed yet. */
async function pending(account: string): Promise<string> {
  const id = login.pending(account);
  await hostile.publish();
  return id;
}

/** Eve wraps what `key` asks for: over HTTP, then behind the issuer's back. */
const asks = (op: Activate, key: Signer, cosigners: readonly Signer[] = []) =>
  hostile.triesRequest(op, `principal/${op.principal}`, key, cosigners);

describe('law 2: a pending person is confirmed by nobody but themselves', () => {
  test.each<[string, (carol: string, key: Signer) => Activate, string]>([
    [
      'with the log-in of an account of her own',
      (carol, key) => login.activate(carol, 'eve-1', key),
      'rule_login_mismatch',
    ],
    [
      'with a log-in of the person that names another key',
      (carol, key) => login.activate(carol, 'carol-1', key, { nonce: newSigner().publicKey.thumbprint }),
      'rule_login_not_bound',
    ],
    [
      'with a token of the same IdP that stands for an agent',
      (carol, key) => {
        const nonce = bindingOf(hostile.ledger.account, key.publicKey.thumbprint);
        return login.activate(carol, 'carol-1', key, { nonce });
      },
      'rule_login_not_bound',
    ],
    [
      'with a log-in of the person at another program',
      (carol, key) => login.activate(carol, 'carol-1', key, { aud: 'phishing-client' }),
      'rule_login_mismatch',
    ],
    [
      'with a log-in of the person from long ago',
      (carol, key) => login.activate(carol, 'carol-1', key, { iat: hostile.ledger.time - 601 }),
      'rule_login_time',
    ],
    [
      'with an IdP of her own, under the name that is trusted',
      (carol, key) => {
        const own = new OutsideIssuer();
        const token = own.token(login.claims('carol-1', key));
        return { ...login.activate(carol, 'carol-1', key), login: { token, jwk: own.jwk, salt: login.salt } };
      },
      'rule_login_untrusted',
    ],
    [
      'with a token that she signed, and the key that is trusted',
      (carol, key) => {
        const token = new OutsideIssuer().token(login.claims('carol-1', key));
        const { jwk } = login.idp;
        return { ...login.activate(carol, 'carol-1', key), login: { token, jwk, salt: login.salt } };
      },
      'federation_token_invalid',
    ],
  ])('%s', async (_name, make, code) => {
    const carol = await pending('carol-1');
    const key = newSigner();
    expect(await asks(make(carol, key), key)).toEqual(both(code));
    expect(hostile.follower.trust.read(`principal/${carol}`)?.status).toBe('pending');
  });

  test('with what the person made for another account', async () => {
    const elsewhere = new LoginWorld(createLedger({ time: hostile.ledger.time }), 'corp', login.idp);
    const carol = await pending('carol-2');
    const key = newSigner();
    const op = elsewhere.activate(carol, 'carol-2', key);
    const change = { account: elsewhere.ledger.account, subjectVersion: 0 };
    const request = hostile.ledger.signRequest(op, `principal/${carol}`, key, { change });
    const leaf = hostile.ledger.sign({ request }, hostile.eve);
    expect([await hostile.posted(leaf), await hostile.write(leaf)]).toEqual(both('rule_account_mismatch'));
  });

  test("with the person's log-in and key, and a recovery key of hers beside them", async () => {
    const carol = await pending('carol-3');
    const [key, own] = [newSigner(), newSigner()];
    const op = { ...login.activate(carol, 'carol-3', key), recovery: own.publicKey.jwk };
    expect(await asks(op, own, [key])).toEqual(both('rule_key_not_live'));
  });

  test("on her own word, which is worth nothing, and ends when the person's log-in comes", async () => {
    const { ledger } = hostile;
    const relay = ledger.grant({ operations: ['principal.activate', 'request.relay'] });
    const carol = await pending('carol-4');
    const own = newSigner();
    const op: Operation = { type: 'principal.activate', principal: carol, key: own.publicKey.jwk };
    const request = ledger.signRequest(op, `principal/${carol}`, own);
    const byConnection = ledger.sign({ request }, hostile.eve);
    expect(await hostile.posted(byConnection)).toBe('rule_connection_foreign');
    expect(await hostile.write(ledger.sign({ request }, relay))).toBe('accepted');
    const agent = ledger.agent({ id: carol, signer: own });
    await hostile.publish();
    const pair = { owner: { id: carol, signer: own }, agent };
    expect(await hostile.outcome(hostile.envelope({}, pair), agent.signer)).toBe('deny');
    login.confirm(carol, 'carol-4');
    await hostile.publish();
    expect(await hostile.outcome(hostile.envelope({}, pair), agent.signer)).toBe('agent_not_active');
    expect(await hostile.triesRequest(op, `principal/${carol}`, own)).toEqual(both('rule_status'));
  });
});

describe('law 2: an invented person', () => {
  const invent = async (account: string): Promise<string> => {
    const op: Operation = {
      type: 'principal.provision',
      groups: ['interns'],
      attributes: {},
      sponsor: false,
      domain: 'corp.example',
      login: login.login(account),
    };
    const leaf = hostile.ledger.sign({ op }, hostile.eve);
    expect(await hostile.write(leaf)).toBe('accepted');
    return principalIdOf(leaf);
  };

  test('is not confirmed by the account of somebody honest who logs in', async () => {
    const dan = await pending('dan-1');
    login.confirm(dan, 'dan-1');
    await hostile.publish();
    const invented = await invent('dan-1');
    const key = newSigner();
    expect(await asks(login.activate(invented, 'dan-1', key), key)).toEqual(both('rule_login_known'));
  });

  test('is confirmed by one account at the IdP once: an accomplice is one person, in groups that she may write', async () => {
    const [first, second] = [await invent('mallory-1'), await invent('mallory-1')];
    const [one, two] = [newSigner(), newSigner()];
    const request = hostile.ledger.signRequest(
      login.activate(first, 'mallory-1', one),
      `principal/${first}`,
      one,
    );
    expect(await hostile.write(hostile.ledger.sign({ request }, hostile.eve))).toBe('accepted');
    expect(await asks(login.activate(second, 'mallory-1', two), two)).toEqual(both('rule_login_known'));
  });

  test('gets into no protected group before somebody confirmed it', async () => {
    const invented = await invent('nobody-1');
    const join: Operation = { type: 'member.add', group: 'staff', member: `principal/${invented}` };
    expect(await hostile.tries(join)).toEqual(both('rule_group_protected'));
    expect(hostile.ledger.codeOf(hostile.ledger.sign({ op: join }))).toBe('rule_not_confirmed');
  });
});

describe("law 2: somebody's key is recovered by nobody whom they or an admin did not name", () => {
  test('by a delegate, a stranger, or a recovery key that Eve names', async () => {
    const { ledger } = hostile;
    const owner = ledger.person({ groups: ['staff'] });
    const friend = ledger.person();
    const set: Operation = { type: 'recovery.set', principal: owner.id, people: [friend.id], threshold: 1 };
    ledger.ask(set, `principal/${owner.id}`, owner.signer);
    await hostile.publish();
    const [own, spare] = [newSigner(), newSigner()];
    const subject = `principal/${owner.id}`;
    const recover: Operation = { type: 'key.recover', principal: owner.id, key: own.publicKey.jwk };
    const name: Operation = { ...set, key: spare.publicKey.jwk, people: [], threshold: 0 };
    expect(await hostile.tries(recover, [own])).toEqual(both('rule_not_permitted'));
    expect(await hostile.triesRequest(recover, subject, own)).toEqual(both('rule_key_not_live'));
    const stranger = hostile.world.alice.signer;
    expect(await hostile.triesRequest(recover, subject, stranger, [own])).toEqual(
      both('rule_recovery_unmet'),
    );
    expect(await hostile.tries(name, [spare])).toEqual(both('rule_not_permitted'));
    expect(await hostile.triesRequest(name, subject, stranger, [spare])).toEqual(both('rule_not_owner'));
    expect(await hostile.triesRequest(recover, subject, spare, [own])).toEqual(both('rule_key_not_live'));
  });
});

test('law 2: nobody but admins says which IdPs confirm people', async () => {
  const trust: Operation = {
    type: 'login.trust',
    name: 'corp',
    issuer: 'https://eve.example',
    keys: [new OutsideIssuer().thumbprint],
    audience: 'x',
    claim: 'sub',
  };
  expect(await hostile.tries(trust)).toEqual(both('rule_not_permitted'));
  expect(await hostile.tries({ type: 'login.distrust', name: 'corp' })).toEqual(both('rule_not_permitted'));
  const asked = hostile.ledger.signRequest(
    trust,
    `principal/${hostile.world.alice.id}`,
    hostile.world.alice.signer,
  );
  const leaf = hostile.ledger.sign({ request: asked }, hostile.eve);
  expect([await hostile.posted(leaf), await hostile.write(leaf)]).toEqual(both('rule_not_permitted'));
});
