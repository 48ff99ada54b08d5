import { writeFileSync } from 'node:fs';
import type { Signer } from '@bulla/verifier';
import { canonicalJson, type JsonObject, type OutsideJwk, parseJson } from '@bulla/verifier/envelope';
import { loginHash, type Operation, principalIdOf } from '@bulla/verifier/log';
import { createLedger } from '../kit/log.ts';
import { vectorSigner } from './signer.ts';

/*
 * Writes log-identity.json: log-ins, activations and recoveries with their verdicts. Run it after a change of format or meaning, and
 * read the difference: node --import=tsx --conditions=@bulla/source test/vectors/log-identity.ts
 */

const idp = vectorSigner('idp');
const relay = vectorSigner('relay');
const carolKey = vectorSigner('carol');
const spareKey = vectorSigner('spare');
const nextKey = vectorSigner('next');
const erinKey = vectorSigner('erin');
const otherKey = vectorSigner('own');

const ledger = createLedger({
  time: 1_790_000_000,
  admins: [vectorSigner('admin')],
  logKey: vectorSigner('log'),
});
const leaves = [{ does: 'genesis', leaf: ledger.lastLeaf, code: 'accepted' }];
function write(does: string, leaf: string): void {
  leaves.push({ does, leaf, code: ledger.force(leaf) });
}

const issuer = 'https://idp.example/t1';
const salt = 'c2FsdHNhbHRzYWx0c2FsdA';
const part = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An ID token of `account` for a key, issued 5 s before the entry. */
function idToken(account: string, key: Signer, change: JsonObject): string {
  const { time } = ledger;
  const nonce = key.publicKey.thumbprint;
  const claims = { iss: issuer, sub: account, aud: 'client-1', nonce, iat: time - 5, exp: time + 300 };
  const input = `${part({ alg: 'EdDSA', typ: 'JWT', kid: 'k1' })}.${part({ ...claims, ...change })}`;
  return `${input}.${Buffer.from(idp.sign(Buffer.from(input))).toString('base64url')}`;
}

function activate(principal: string, account: string, key: Signer, change: JsonObject = {}) {
  const token = idToken(account, key, change);
  const jwk = idp.publicKey.jwk as OutsideJwk;
  return {
    type: 'principal.activate',
    principal,
    key: key.publicKey.jwk,
    login: { token, jwk, salt },
  } as const;
}

const admin = (does: string, op: Operation, cosigners: readonly Signer[] = []): void =>
  write(does, ledger.sign({ op }, ledger.admin, cosigners));

/** What `by` asks for about a person, wrapped by the delegate. */
function asks(does: string, id: string, op: Operation, by: Signer, cosigners: readonly Signer[] = []): void {
  const request = ledger.signRequest(op, `principal/${id}`, by, { cosigners });
  write(does, ledger.sign({ request }, relay));
}

function provision(does: string, account: string): string {
  const login = { trust: 'corp', hash: loginHash({ issuer, claim: 'sub', value: account }, salt) };
  admin(does, { type: 'principal.provision', groups: [], attributes: {}, sponsor: false, login });
  return principalIdOf(ledger.lastLeaf);
}

admin('an admin trusts an IdP to confirm people', {
  type: 'login.trust',
  name: 'corp',
  issuer,
  keys: [idp.publicKey.thumbprint],
  audience: 'client-1',
  claim: 'sub',
});
const lease = ledger.lease({ operations: ['request.relay', 'principal.activate'] });
admin(
  'an admin grants a lease that wraps requests, and activations on its own word',
  { type: 'delegate.grant', key: relay.publicKey.jwk, lease },
  [relay],
);
const carol = provision('an admin provisions carol, whom account 00u1 may confirm', '00u1');
const erin = provision('an admin provisions erin, whom account 00u2 may confirm', '00u2');

const elsewhere = { nonce: otherKey.publicKey.thumbprint };
asks("carol's log-in names another key", carol, activate(carol, '00u1', carolKey, elsewhere), carolKey);
asks('a log-in of 00u2 for carol', carol, activate(carol, '00u2', carolKey), carolKey);
const address = { email: 'c@corp.example' };
asks('a log-in with an e-mail address', carol, activate(carol, '00u1', carolKey, address), carolKey);
const old = { iat: ledger.time - 601 };
asks('a log-in 601 s before the entry', carol, activate(carol, '00u1', carolKey, old), carolKey);
const withSpare = { ...activate(carol, '00u1', carolKey), recovery: spareKey.publicKey.jwk };
asks("carol's log-in, and a recovery key that has not signed", carol, withSpare, carolKey);
asks('carol confirms herself, with a recovery key', carol, withSpare, carolKey, [spareKey]);

const bare: Operation = { type: 'principal.activate', principal: erin, key: otherKey.publicKey.jwk };
asks("erin is let in on the delegate's word", erin, bare, otherKey);
asks('erin confirms herself: the key from before ends', erin, activate(erin, '00u2', erinKey), erinKey);
const people: Operation = { type: 'recovery.set', principal: carol, people: [erin], threshold: 1 };
asks('carol names erin for her recovery, and keeps the recovery key', carol, people, carolKey);

const recover = (principal: string): Operation => ({
  type: 'key.recover',
  principal,
  key: nextKey.publicKey.jwk,
});
write("the delegate recovers carol's key", ledger.sign({ op: recover(carol) }, relay, [nextKey]));
asks("carol's recovery key recovers erin's key", erin, recover(erin), spareKey, [nextKey]);
asks("carol's recovery key recovers her key", carol, recover(carol), spareKey, [nextKey]);
admin('an admin distrusts the IdP', { type: 'login.distrust', name: 'corp' });

const about =
  'Leaves of one log in order, and what apply says to each: log-ins, activation, recovery. Keys, the IdP\'s too, are Ed25519 seeds SHA-256("bulla vector <name>").';
const state = parseJson(Buffer.from(canonicalJson(Object.fromEntries(ledger.state))));
const file = new URL('log-identity.json', import.meta.url);
writeFileSync(file, `${JSON.stringify({ about, account: ledger.account, leaves, state }, null, 1)}\n`);
