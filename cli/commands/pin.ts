import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Lock, raiseLock, readLock } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { FollowedLog } from '../followed-log.ts';
import { fields, span, when } from '../output.ts';
import type { Session } from '../session.ts';

export function registerPin(program: BullaCommand): void {
  program
    .command('pin')
    .description('Write or raise bulla.lock: what an API ships, so that nobody can show it an older log.')
    .argument('[file]', 'the lock', 'bulla.lock')
    .option('--check', 'change nothing; fail if the lock is missing, of another log, or too old')
    .option('--max-age <time>', 'with --check: how old the lock may be', '30d')
    .example('bulla pin && git add bulla.lock')
    .run(pin);
}

async function pin(session: Session, given: Given): Promise<void> {
  const file = given.argument(0);
  if (given.flag('check')) {
    await check(session, file, given.duration('maxAge') ?? 0);
    return;
  }
  const known = existsSync(file);
  const lock = await following(session, known ? file : undefined, async (log) => {
    const { account, size, root } = log.trust;
    const next: Lock = { account, size, root, time: log.checkpointTime };
    await raise(file, next);
    return readLock(file);
  });
  session.output.result({ file, ...lock }, [
    `${known ? 'raised' : 'wrote'} \`${file}\``,
    ...fields({ account: lock.account, entries: lock.size, time: when(lock.time) }),
    'next: commit it, and ship it with the API',
  ]);
}

/** Following has raised the lock as far as it could; a checkpoint of the same second changes nothing. */
async function raise(file: string, lock: Lock): Promise<void> {
  if (existsSync(file)) {
    const present = readLock(file);
    if (present.size === lock.size && present.time >= lock.time) return;
  }
  await raiseLock(file, lock);
}

async function check(session: Session, file: string, maxAgeSeconds: number): Promise<void> {
  if (!existsSync(file))
    throw new CliError('lock_behind', `there is no \`${file}\``, { hint: `bulla pin ${file}` });
  const lock = readLock(file);
  const { size, age } = await following(session, file, (log) => ({
    size: log.trust.size,
    age: log.now() - lock.time,
  }));
  if (age > maxAgeSeconds) {
    throw new CliError('lock_behind', `\`${file}\` is ${span(age)} old`, {
      hint: 'raise it with `bulla pin`',
    });
  }
  session.output.result({ file, ...lock, logSize: size, ageSeconds: age }, [
    `\`${file}\` is on this log, ${size - lock.size} entries behind, ${span(age)} old`,
  ]);
}

/** Follows from the first entry, held to a copy of the lock: the follower refuses a log that contradicts it. */
async function following<T>(
  session: Session,
  lock: string | undefined,
  work: (log: FollowedLog) => Promise<T> | T,
): Promise<T> {
  const { account, url, readToken } = session.account;
  const folder = mkdtempSync(path.join(tmpdir(), 'bulla-pin-'));
  const copy = path.join(folder, 'bulla.lock');
  try {
    if (lock !== undefined) copyFileSync(lock, copy);
    const log = await FollowedLog.open({
      account,
      url,
      readToken,
      folder,
      ports: session.surroundings.ports,
      ...(lock !== undefined && { lock: copy }),
    });
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
