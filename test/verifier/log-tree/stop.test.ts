import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Signer } from '@bulla/verifier';
import type { Operation } from '@bulla/verifier/log';
import { audienceKey, revokedKey } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { createLedger, newSigner } from '../../kit/log.ts';
import { SampleLog } from './sample-log.ts';
import { Stage, start, useStage } from './stage.ts';

const stage = useStage();
const agent = 'agt_00000000000000000000000000000000';
const jkt = newSigner().publicKey.thumbprint;

describe('a direct stop', () => {
  test('bites at once while the log withholds it, survives a restart, and ends when the log applies it', async () => {
    const { log, directory } = stage();
    const alice = log.ledger.person();
    log.publish();
    const first = stage().follow({ directory });
    await first.ready;
    const leaf = log.ledger.sign({ op: { type: 'principal.suspend', principal: alice.id } });
    const stopping = first.stop(leaf);
    await stopping;
    expect(first.trust.stopped(`principal/${alice.id}`)).toBe(true);
    expect(first.trust.stopped('principal/someone')).toBe(false);
    await first.close();
    const second = stage().follow({ directory });
    await second.until((trust) => trust.stopped(`principal/${alice.id}`));
    await second.ready;
    log.ledger.append(leaf);
    log.publish();
    await second.until((trust) => !trust.stopped(`principal/${alice.id}`));
    expect(second.trust.read(`principal/${alice.id}`)?.status).toBe('suspended');
    await second.stop(leaf);
    expect(second.trust.stopped(`principal/${alice.id}`)).toBe(false);
  });

  test('does not mind its place in the log, and stays when that place is taken by another entry', async () => {
    const { log } = stage();
    const follower = stage().follow();
    await follower.ready;
    const leaf = log.ledger.sign({ op: { type: 'agent.revoke', agent } });
    stage().grow('crew');
    await follower.until((trust) => trust.size === 2);
    await follower.stop(leaf);
    expect(follower.trust.stopped(`agent/${agent}`)).toBe(true);
  });

  test.each<[Operation, string]>([
    [
      { type: 'principal.deprovision', principal: 'prn_00000000000000000000000000000000' },
      'principal/prn_00000000000000000000000000000000',
    ],
    [{ type: 'agent.suspend', agent }, `agent/${agent}`],
    [{ type: 'key.revoke', key: jkt }, `key/${jkt}`],
    [{ type: 'delegate.revoke', key: jkt }, `delegate/${jkt}`],
    [{ type: 'policy.retire', slot: 'main' }, 'slot/main'],
    [{ type: 'federation.distrust', name: 'build' }, 'federation/build'],
    [{ type: 'audience.retire', audience: 'https://api.example' }, audienceKey('https://api.example')],
    [
      { type: 'capability.revoke', jti: 'a-jti-of-some-length', exp: start + 60 },
      revokedKey('a-jti-of-some-length'),
    ],
  ])('%j names its state key', async (op, key) => {
    const follower = stage().follow();
    await follower.ready;
    await follower.stop(stage().log.ledger.sign({ op }));
    expect(follower.trust.stopped(key)).toBe(true);
  });

  test('of a key since an entry takes with it what the key added from there on', async () => {
    const { ledger } = stage().log;
    const alice = ledger.person();
    const [early, late] = [newSigner(), newSigner()];
    const add = (key: typeof early): void => {
      const op: Operation = { type: 'key.add', subject: `principal/${alice.id}`, key: key.publicKey.jwk };
      ledger.ask(op, `principal/${alice.id}`, alice.signer, { cosigners: [key] });
    };
    add(early);
    const since = ledger.position.seq;
    add(late);
    const robot = ledger.agent(alice);
    stage().log.publish();
    const follower = stage().follow();
    await follower.ready;
    const key = alice.signer.publicKey.thumbprint;
    await follower.stop(ledger.sign({ op: { type: 'key.revoke', key, since } }));
    const stopped = (signer: typeof early): boolean =>
      follower.trust.stopped(`key/${signer.publicKey.thumbprint}`);
    expect([stopped(alice.signer), stopped(early), stopped(late)]).toEqual([true, false, true]);
    expect(follower.trust.stopped(`agent/${robot.id}`)).toBe(true);
  });

  test('is refused when it gives something, is not signed by admins, or is for another account', async () => {
    const { ledger } = stage().log;
    const eve = ledger.grant({ operations: ['agent.suspend'] });
    stage().log.publish();
    const follower = stage().follow();
    const op: Operation = { type: 'agent.suspend', agent };
    await expect(follower.stop(ledger.sign({ op }))).rejects.toMatchObject({ code: 'log_incomplete' });
    await follower.ready;
    const refusal = async (leaf: string): Promise<unknown> =>
      follower.stop(leaf).then(
        () => 'accepted',
        (error: { code: string }) => error.code,
      );
    const resume: Operation = { type: 'agent.resume', agent, keys: [] };
    expect(await refusal(ledger.sign({ op: resume }))).toBe('stop_not_restrictive');
    expect(await refusal(ledger.sign({ op }, eve))).toBe('stop_unauthorised');
    expect(await refusal(ledger.sign({ op }, ledger.admin, [eve]))).toBe('stop_unauthorised');
    expect(await refusal(ledger.sign({ op }, newSigner()))).toBe('stop_unauthorised');
    expect(await refusal(createLedger().sign({ op }))).toBe('rule_account_mismatch');
    expect(await refusal('x'.repeat(70_000))).toBe('entry_too_large');
    const [payload, other] = [ledger.sign({ op }), ledger.sign({ op: { ...op, type: 'agent.revoke' } })];
    const spliced = [...payload.split('.').slice(0, 2), other.split('.')[2]].join('.');
    expect(await refusal(spliced)).toBe('jws_signature_invalid');
    expect(follower.trust.stopped(`agent/${agent}`)).toBe(false);
  });

  test('needs the threshold of admins', async () => {
    const admins = [newSigner(), newSigner()];
    const two = new Stage();
    two.log = new SampleLog(createLedger({ time: start, admins, threshold: 2 }));
    await two.open();
    const { ledger } = two.log;
    const follower = two.follow();
    await follower.ready;
    const op: Operation = { type: 'agent.suspend', agent };
    await expect(follower.stop(ledger.sign({ op }))).rejects.toMatchObject({ code: 'stop_unauthorised' });
    await follower.stop(ledger.sign({ op }, ledger.admin, admins.slice(1)));
    expect(follower.trust.stopped(`agent/${agent}`)).toBe(true);
    await two.close();
  });

  test('of an admin removed since is refused, and one that was accepted before stays', async () => {
    const admins = [newSigner(), newSigner()];
    const two = new Stage();
    two.log = new SampleLog(createLedger({ time: start, admins }));
    await two.open();
    const { directory, log } = two;
    const [first, second] = admins as [Signer, Signer];
    const stop = (type: 'agent.suspend' | 'agent.revoke'): string =>
      log.ledger.sign({ op: { type, agent } }, second);
    const before = two.follow({ directory });
    await before.ready;
    await before.stop(stop('agent.suspend'));
    log.ledger.append(
      log.ledger.sign({ op: { type: 'admin.remove', key: second.publicKey.thumbprint } }, first),
    );
    log.publish();
    await before.until((trust) => trust.size === 2);
    await expect(before.stop(stop('agent.revoke'))).rejects.toMatchObject({ code: 'stop_unauthorised' });
    await before.close();
    const after = two.follow({ directory });
    await after.ready;
    expect([after.halted, after.trust.stopped(`agent/${agent}`)]).toEqual([undefined, true]);
    await two.close();
  });

  test('is found in the stop file, whenever it gets there', async () => {
    const stopFile = path.join(stage().directory, 'stop');
    const follower = stage().follow({ stopFile });
    await follower.ready;
    const { ledger } = stage().log;
    const bad = ledger.sign({ op: { type: 'agent.suspend', agent } }, newSigner());
    writeFileSync(stopFile, `${bad}\n${ledger.sign({ op: { type: 'agent.suspend', agent } })}\n`);
    await stage().alarmed('stop_unauthorised');
    for (let asked = 0; !follower.trust.stopped(`agent/${agent}`); asked = stage().log.requests.length) {
      await follower.until(
        () => stage().log.requests.length > asked || follower.trust.stopped(`agent/${agent}`),
      );
    }
    expect(follower.trust.stopped(`agent/${agent}`)).toBe(true);
  });
});
