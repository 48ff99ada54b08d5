import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeBase64url } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { newLog, start, useStage } from './stage.ts';

const stage = useStage();

describe('disk and lock', () => {
  const lockFile = (): string => path.join(stage().directory, 'bulla.lock');
  const lockAt = (size: number, root: Buffer): string =>
    JSON.stringify({ account: stage().log.ledger.account, size, root: encodeBase64url(root), time: start });

  test('a restart replays its own disk and asks only for what is new', async () => {
    stage().grow('crew');
    const first = stage().follow({ directory: stage().directory });
    await first.ready;
    await first.close();
    const genesisOnly = newLog();
    stage().log.note = genesisOnly.note;
    const second = stage().follow({ directory: stage().directory });
    await stage().alarmed('checkpoint_rolled_back');
    expect(second.trust.read('group/crew')).toBeDefined();
    expect(second.trust.age(start + 3)).toBe(3);
  });

  test('a lock that is missing, malformed or of another account refuses the start', () => {
    expect(() => stage().follow({ lock: lockFile() })).toThrow(
      expect.objectContaining({ code: 'lock_missing' }),
    );
    writeFileSync(lockFile(), '{}');
    expect(() => stage().follow({ lock: lockFile() })).toThrow(
      expect.objectContaining({ code: 'lock_invalid' }),
    );
    writeFileSync(lockFile(), lockAt(1, Buffer.alloc(32)).replace('acct_', 'acct_x'));
    expect(() => stage().follow({ lock: lockFile() })).toThrow(
      expect.objectContaining({ code: 'lock_mismatch' }),
    );
  });

  test('nothing below the lock is accepted', async () => {
    writeFileSync(lockFile(), lockAt(2, Buffer.alloc(32)));
    const follower = stage().follow({ lock: lockFile() });
    await stage().alarmed('checkpoint_rolled_back');
    expect(follower.trust.age(stage().now)).toBe(Infinity);
  });

  test('another root at the locked size halts', async () => {
    writeFileSync(lockFile(), lockAt(1, Buffer.alloc(32)));
    stage().grow('crew');
    stage().follow({ lock: lockFile() });
    expect(await stage().alarmed('lock_mismatch')).toMatchObject({ halted: true });
  });

  test('the lock is raised as the log grows', async () => {
    writeFileSync(lockFile(), lockAt(1, stage().log.world.treeRoot()));
    stage().grow('crew');
    const follower = stage().follow({ lock: lockFile() });
    await follower.ready;
    await follower.close();
    expect(JSON.parse(readFileSync(lockFile(), 'utf8'))).toMatchObject({
      size: 2,
      root: follower.trust.root,
    });
  });
});
