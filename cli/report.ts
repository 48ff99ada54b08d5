import type { Confirmed } from './ledger.ts';
import type { Output, Result } from './output.ts';
import { when } from './output.ts';

/** Says that an entry is in the log, which is only known by having seen the checkpoint. */
export function reportEntry(output: Output, headline: string, entry: Confirmed, more: Report = {}): void {
  const { seq, hash, checkpoint } = entry;
  output.result(
    { done: entry.change.op.type, ...more.data, entry: { seq, hash, time: entry.change.time }, checkpoint },
    [
      headline,
      `  entry ${seq} of ${when(entry.change.time)}, seen in the checkpoint of size ${checkpoint.size}`,
      ...(more.lines ?? []),
      ...(more.next === undefined ? [] : [`next: ${more.next}`]),
    ],
  );
}

export interface Report {
  readonly data?: Result;
  readonly lines?: readonly string[];
  /** What one usually does now. */
  readonly next?: string;
}
