import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Change } from '@bulla/verifier/log';
import type { BullaCommand, Given } from '../command.ts';
import { exitCodes } from '../errors.ts';
import { FollowedLog, type LedgerEntry } from '../followed-log.ts';
import type { Ledger } from '../ledger.ts';
import { fields, span, table, when } from '../output.ts';
import type { Session } from '../session.ts';

export function registerLog(program: BullaCommand): void {
  const log = program
    .command('log')
    .description('Look at the trust log, and check it.')
    .example('bulla log show --last 20');
  log
    .command('show')
    .description('Show entries: what was done, by whom, when.')
    .option('--last <n>', 'only the last entries', '50')
    .option('--from <seq>', 'from this entry on')
    .option('--about <id>', 'only those that touched this person, agent, group or key')
    .example('bulla log show --about agt_9b01d4')
    .run(show);
  log
    .command('verify')
    .description('Fetch the whole log anew, replay every entry, and compare it with the copy kept here.')
    .example('bulla log verify')
    .run(verify);
}

async function show(session: Session, given: Given): Promise<void> {
  const from = given.integer('from');
  const about = given.text('about');
  await session.reading((ledger) => {
    const touching =
      about === undefined ? ledger.entries : ledger.entries.filter((entry) => touches(entry, about));
    const last = given.integer('last') ?? 50;
    const entries =
      from === undefined
        ? touching.slice(Math.max(0, touching.length - last))
        : touching.filter(({ seq }) => seq >= from);
    const rows = entries.map(({ seq, change, refused }) => [
      String(seq),
      change === undefined ? '' : when(change.time),
      change === undefined ? '' : `${change.by.rank} ${change.by.key.slice(0, 8)}`,
      change?.op.type ?? 'without effect',
      change === undefined ? (refused ?? '') : subjectOf(change),
    ]);
    session.output.result(
      { size: ledger.trust.size, root: ledger.trust.root, entries: entries.map(describe) },
      table(['entry', 'time', 'by', 'operation', 'about'], rows),
    );
  });
}

function describe({ seq, hash, change, refused }: LedgerEntry): object {
  if (change === undefined) return { seq, hash, refused };
  const { time, by, op } = change;
  return { seq, hash, time, by, op };
}

function touches({ change }: LedgerEntry, about: string): boolean {
  return [...(change?.writes.keys() ?? [])].some((key) => key.slice(key.indexOf('/') + 1).startsWith(about));
}

/** What an operation is about, in a few words: the first id in it, or the record it made. */
function subjectOf({ op, writes }: Change): string {
  const members = op as { readonly [name: string]: unknown };
  const named = ['principal', 'agent', 'subject', 'group', 'audience', 'slot', 'owner', 'key', 'old', 'jti']
    .map((name) => members[name])
    .find((value) => typeof value === 'string');
  const made = [...writes.keys()].find((key) => /^(?:principal|agent|delegate)\//u.test(key));
  const created = /^(?:principal\.provision|agent\.register|delegate\.grant)$/u.test(op.type);
  return created ? (made?.slice(made.indexOf('/') + 1) ?? '') : (named ?? '');
}

async function verify(session: Session): Promise<number | undefined> {
  const { account, url, readToken } = session.account;
  const folder = mkdtempSync(path.join(tmpdir(), 'bulla-log-'));
  try {
    return await session.reading(async (own) => {
      const { ports } = session.surroundings;
      const fresh = await FollowedLog.open({ account, url, readToken, folder, ports });
      try {
        return report(session, own, fresh);
      } finally {
        await fresh.close();
      }
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report({ output }: Session, own: Ledger, fresh: FollowedLog): number | undefined {
  const shared = Math.min(own.entries.length, fresh.entries.length);
  const forkedAt = own.entries
    .slice(0, shared)
    .findIndex(({ hash }, seq) => fresh.entries[seq]?.hash !== hash);
  const skipped = fresh.entries.filter(({ refused }) => refused !== undefined);
  const { size, root, account } = fresh.trust;
  const holds = forkedAt < 0 && skipped.length === 0;
  const lines = [
    holds
      ? 'the log holds: every entry follows the rules, and the checkpoint covers exactly these'
      : 'the log does NOT hold',
    ...fields({ account, entries: size, root, 'checkpoint age': span(fresh.age) }),
    ...(forkedAt < 0 ? [] : [`  entry ${forkedAt} differs from the copy kept here: the log was forked`]),
    ...skipped.map(({ seq, refused }) => `  entry ${seq} breaks a rule and has no effect: ${refused}`),
  ];
  output.result(
    {
      holds,
      account,
      size,
      root,
      ageSeconds: fresh.age,
      forkedAt: forkedAt < 0 ? null : forkedAt,
      skipped: skipped.map(({ seq, refused }) => ({ seq, refused })),
    },
    lines,
  );
  return holds ? undefined : exitCodes.no.exit;
}
