import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
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

  test('a size that was seen and withheld is still known after a restart', async () => {
    const { directory, log } = stage();
    const older = log.note;
    const first = stage().follow({ directory });
    await first.ready;
    log.sign({ size: 5, time: start + 1 });
    await first.until(() => log.requests.filter((each) => each.endsWith('/entries')).length > 5);
    await first.close();
    log.note = older;
    const second = stage().follow({ directory });
    await stage().alarmed('checkpoint_rolled_back');
    expect(second.trust.age(start + 30)).toBe(30);
    for (const name of ['a', 'b', 'c', 'd', 'e']) log.ledger.group(name);
    stage().tick(2);
    await second.until((trust) => trust.size === 6);
    await second.close();
    await stage().follow({ directory }).ready;
  });

  test('a directory that does not verify halts, and is not started over', async () => {
    const { directory } = stage();
    stage().grow('crew');
    const first = stage().follow({ directory });
    await first.ready;
    await first.close();
    const leaves = path.join(directory, 'leaves');
    writeFileSync(leaves, readFileSync(leaves, 'latin1').replace('.', '_'));
    const second = stage().follow({ directory });
    await expect(second.ready).rejects.toMatchObject({ code: 'follower_disk_invalid' });
    expect(second.trust.age(start)).toBe(Infinity);
  });

  test('leaves behind the checkpoint, left by a crash, are cut off', async () => {
    const { directory } = stage();
    stage().grow('crew');
    const first = stage().follow({ directory });
    await first.ready;
    await first.close();
    appendFileSync(path.join(directory, 'leaves'), 'half a le');
    stage().grow('team');
    const second = stage().follow({ directory });
    await second.until((trust) => trust.size === 3);
    await second.close();
    const lines = readFileSync(path.join(directory, 'leaves'), 'latin1').trimEnd().split('\n');
    expect(lines).toEqual(stage().log.leaves);
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
