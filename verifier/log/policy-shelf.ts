import { Refusal } from '../errors.ts';
import { digestOf, parsePolicySetDocument } from '../policy/digest.ts';
import type { PolicySetDocument } from '../policy/document.ts';
import type { SlotRecord } from './records.ts';

/** Published policy sets, fetched in the background by the digests that the slots name, and kept while one names them. */
export class PolicyShelf {
  readonly #fetch: (digest: string) => Promise<Buffer>;
  readonly #onProblem: (error: unknown) => void;
  readonly #slots = new Map<string, readonly string[]>();
  readonly #documents = new Map<string, PolicySetDocument>();
  readonly #underway = new Map<string, Promise<void>>();

  constructor(fetch: (digest: string) => Promise<Buffer>, onProblem: (error: unknown) => void) {
    this.#fetch = fetch;
    this.#onProblem = onProblem;
  }

  get(digest: string): PolicySetDocument | undefined {
    return this.#documents.get(digest);
  }

  /** Notes what a slot names now. A set that no slot names any more is dropped with the next {@link fill}. */
  setSlot(key: string, slot: SlotRecord): void {
    this.#slots.set(key, digestsOf(slot));
  }

  /** Fetches every set that a slot names and that is not here. Resolves when each was tried once; never rejects. */
  async fill(): Promise<void> {
    const wanted = new Set([...this.#slots.values()].flat());
    for (const digest of this.#documents.keys()) if (!wanted.has(digest)) this.#documents.delete(digest);
    await Promise.all([...wanted].map((digest) => this.load(digest)));
  }

  /** Fetches one set, also before a slot names it. Never rejects. */
  async load(digest: string): Promise<void> {
    if (this.#documents.has(digest)) return;
    const underway = this.#underway.get(digest) ?? this.#load(digest);
    this.#underway.set(digest, underway);
    await underway;
  }

  async #load(digest: string): Promise<void> {
    try {
      const bytes = await this.#fetch(digest);
      if (digestOf(bytes) !== digest) {
        throw new Refusal('policy_document_invalid', 'bytes do not hash to the digest in the log');
      }
      this.#documents.set(digest, parsePolicySetDocument(bytes));
    } catch (error) {
      this.#onProblem(error);
    } finally {
      this.#underway.delete(digest);
    }
  }
}

/** The digests a slot needs: the current set's, and the one before it for an overlap. */
export function digestsOf(slot: SlotRecord): string[] {
  if (slot.status !== 'active') return [];
  return slot.previous === null ? [slot.digest] : [slot.digest, slot.previous.digest];
}
