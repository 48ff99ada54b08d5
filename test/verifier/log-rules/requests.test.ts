import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { cosign, type Operation, type RequestDraft } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createLedger, newSigner } from '../../kit/log.ts';
import { createWorld, thumbprint } from './world.ts';

describe('a request', () => {
  const { ledger, alice, bob, robot, eve } = createWorld();
  const op: Operation = { type: 'agent.suspend', agent: robot.id };
  const code = (change: Partial<RequestDraft>): string => {
    const request = ledger.signRequest(op, `agent/${robot.id}`, alice.signer, { change });
    return ledger.codeOf(ledger.sign({ request }, eve));
  };
  const version = ledger.read(`agent/${robot.id}`)?.version ?? -1;
  const other = createLedger();
  const rows: readonly (readonly [string, Partial<RequestDraft>, string])[] = [
    ['as it should be', {}, 'accepted'],
    ['in its last second', { notAfter: ledger.time }, 'accepted'],
    ['a second later', { notAfter: ledger.time - 1 }, 'rule_request_expired'],
    ['good for a week', { notAfter: ledger.time + 604_800 }, 'accepted'],
    ['good for longer', { notAfter: ledger.time + 604_801 }, 'rule_request_too_long'],
    ['for another account', { account: other.account }, 'rule_account_mismatch'],
    ['with another subject', { subject: `principal/${alice.id}` }, 'rule_subject_mismatch'],
    ['with an older version', { subjectVersion: version - 1 < 0 ? 7 : version - 1 }, 'rule_subject_version'],
    ['with a later version', { subjectVersion: version + 1 }, 'rule_subject_version'],
  ];
  test.each(rows)('%s', (_name, change, expected) => {
    expect(code(change)).toBe(expected);
  });
  test('about an agent that does not exist is refused', () => {
    const ghost: Operation = { type: 'agent.suspend', agent: `agt_${'0'.repeat(32)}` };
    const request = ledger.signRequest(ghost, `agent/agt_${'0'.repeat(32)}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_subject_version');
  });
  test('with another signature under it is refused', () => {
    const request = ledger.signRequest(op, `agent/${robot.id}`, alice.signer, { cosigners: [bob.signer] });
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_signature_unneeded');
  });
  test('wrapped with another signature is refused', () => {
    const request = ledger.signRequest(op, `agent/${robot.id}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request }, eve, [bob.signer]))).toBe('rule_signature_unneeded');
  });
  test('whose signature was made by another key is refused', () => {
    const mallory = newSigner();
    const forged = { ...mallory, publicKey: { ...mallory.publicKey, thumbprint: thumbprint(alice) } };
    const request = ledger.signRequest(op, `agent/${robot.id}`, forged);
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('jws_signature_invalid');
  });
  test('wrapped by somebody who only pretends to be the delegate is refused', () => {
    const request = ledger.signRequest(op, `agent/${robot.id}`, alice.signer);
    const mallory = newSigner();
    const forged = { ...mallory, publicKey: { ...mallory.publicKey, thumbprint: thumbprint(eve) } };
    expect(ledger.codeOf(ledger.sign({ request }, forged))).toBe('jws_signature_invalid');
    expect(ledger.codeOf(ledger.sign({ request }, alice.signer))).toBe('rule_signer_unknown');
  });
});

describe('a request that was applied', () => {
  test('cannot be applied again, here or after other changes', () => {
    const { ledger, alice, robot, eve } = createWorld();
    const suspend: Operation = { type: 'agent.suspend', agent: robot.id };
    const request = ledger.signRequest(suspend, `agent/${robot.id}`, alice.signer);
    ledger.append(ledger.sign({ request }, eve));
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_subject_version');
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [] };
    ledger.ask(resume, `agent/${robot.id}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_subject_version');
  });
  test('to resume an agent dies with the next suspension', () => {
    const { ledger, alice, robot, eve } = createWorld();
    ledger.do({ type: 'agent.suspend', agent: robot.id }, [], eve);
    const resume: Operation = { type: 'agent.resume', agent: robot.id, keys: [thumbprint(robot)] };
    const held = ledger.signRequest(resume, `agent/${robot.id}`, alice.signer);
    ledger.ask({ type: 'agent.suspend', agent: robot.id }, `agent/${robot.id}`, alice.signer);
    expect(ledger.codeOf(ledger.sign({ request: held }, eve))).toBe('rule_subject_version');
  });
  test('by a key revoked since is refused', () => {
    const { ledger, alice, robot, eve } = createWorld();
    const request = ledger.signRequest(
      { type: 'agent.suspend', agent: robot.id },
      `agent/${robot.id}`,
      alice.signer,
    );
    ledger.do({ type: 'key.revoke', key: thumbprint(alice) });
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_key_not_live');
  });
});

describe('activation', () => {
  test.each(['Ed25519', 'P-256'] as const)('by a sponsor, with the new key (%s)', (curve) => {
    const { ledger, carol, sam, eve } = createWorld();
    const key = createSigner(generatePrivateJwk(curve));
    const op: Operation = { type: 'principal.activate', principal: carol.id, key: key.publicKey.jwk };
    const subject = `principal/${carol.id}`;
    const unproven = ledger.signRequest(op, subject, sam.signer);
    expect(ledger.codeOf(ledger.sign({ request: unproven }, eve))).toBe('rule_possession_unproven');
    ledger.append(ledger.sign({ request: cosign(unproven, key) }, eve));
    expect(ledger.read(`principal/${carol.id}`)).toMatchObject({ status: 'active', assurance: 'sponsor' });
    expect(ledger.read(`key/${thumbprint(key)}`)?.addedBy).toBe(thumbprint(sam));
  });
  test('by an admin, with the new key', () => {
    const { ledger, alice } = createWorld();
    expect(ledger.read(`principal/${alice.id}`)).toMatchObject({ status: 'active', assurance: 'admin' });
  });
  test('by the new key itself and a delegate whose lease does not say so, or an admin, is refused', () => {
    const { ledger, carol } = createWorld();
    const eve = ledger.grant({ operations: ['request.relay', 'principal.provision'] });
    const key = newSigner();
    const op: Operation = { type: 'principal.activate', principal: carol.id, key: key.publicKey.jwk };
    expect(ledger.codeOf(ledger.sign({ op }, eve, [key]))).toBe('rule_not_permitted');
    const request = ledger.signRequest(op, `principal/${carol.id}`, key);
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_not_sponsor');
    expect(ledger.codeOf(ledger.sign({ request }))).toBe('rule_not_sponsor');
  });
  test('by a suspended sponsor is refused', () => {
    const { ledger, carol, sam, eve } = createWorld();
    const key = newSigner();
    const op: Operation = { type: 'principal.activate', principal: carol.id, key: key.publicKey.jwk };
    const request = ledger.signRequest(op, `principal/${carol.id}`, sam.signer, { cosigners: [key] });
    ledger.do({ type: 'principal.suspend', principal: sam.id });
    expect(ledger.codeOf(ledger.sign({ request }, eve))).toBe('rule_key_not_live');
  });
  test('of somebody active, suspended or unknown is refused', () => {
    const { ledger, alice, bob } = createWorld();
    ledger.do({ type: 'principal.suspend', principal: bob.id });
    const key = newSigner();
    const code = (principal: string): string =>
      ledger.codeOf(
        ledger.sign({ op: { type: 'principal.activate', principal, key: key.publicKey.jwk } }, ledger.admin, [
          key,
        ]),
      );
    expect([code(alice.id), code(bob.id), code(`prn_${'0'.repeat(32)}`)]).toEqual([
      'rule_status',
      'rule_status',
      'rule_subject_unknown',
    ]);
  });
});
