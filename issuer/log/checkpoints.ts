import type { Signer } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import { signCheckpoint, type World } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import type { AccountStore, StoredCheckpoint } from '../store/store.ts';

interface CheckpointSignerOptions {
  readonly world: World;
  readonly store: AccountStore;
  readonly logKey: Signer;
  readonly ports: IssuerPorts;
  readonly stored: StoredCheckpoint | undefined;
}

/**
 * Signs checkpoints of the committed log. One is shown only after it is stored, so that no restart shows a smaller
 * or an earlier one; time never goes back, even if the clock does.
 */
export class CheckpointSigner {
  readonly #options: CheckpointSignerOptions;
  #current: StoredCheckpoint | undefined;
  #failure: string | undefined;

  constructor(options: CheckpointSignerOptions) {
    this.#options = options;
    this.#current = options.stored;
  }

  get current(): StoredCheckpoint | undefined {
    return this.#current;
  }

  /** Code of what keeps checkpoints from being signed. */
  get failure(): string | undefined {
    return this.#failure;
  }

  fail(error: unknown): void {
    const code = error instanceof IssuerRefusal ? error.code : 'internal';
    if (code !== this.#failure) {
      const { ports, world } = this.#options;
      ports.log({ level: 'error', event: 'checkpoint.failed', account: world.account, code });
    }
    this.#failure = code;
  }

  /** @returns whether there is a new checkpoint. Never throws: readers see the old one age. */
  async sign(): Promise<boolean> {
    try {
      const checkpoint = this.#make();
      if (!(await this.#options.store.saveCheckpoint(checkpoint))) return await this.#adopt();
      this.#current = checkpoint;
      this.#failure = undefined;
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  #make(): StoredCheckpoint {
    const { world, logKey, ports } = this.#options;
    const account = world.read('account');
    if (account === undefined) throw new IssuerRefusal('store_corrupt', 'log has no genesis');
    if (account.logKey !== logKey.publicKey.thumbprint) {
      throw new IssuerRefusal('log_key_replaced', 'configured log key is not the one in force');
    }
    const time = Math.max(Math.floor(ports.now()), this.#current?.time ?? 0);
    const [size, root, state] = [world.size, world.treeRoot(), world.stateRoot()];
    const note = signCheckpoint({ origin: account.origin, size, root, state }, time, logKey);
    return { size, root: encodeBase64url(root), time, note };
  }

  /** Another process stored a newer one first: show that. */
  async #adopt(): Promise<boolean> {
    const stored = await this.#options.store.checkpoint();
    if (stored === undefined || stored.size > this.#options.world.size) return false;
    if (
      stored.size === this.#options.world.size &&
      stored.root !== encodeBase64url(this.#options.world.treeRoot())
    ) {
      throw new IssuerRefusal('store_corrupt', 'stored checkpoint has another root than the log');
    }
    this.#current = stored;
    this.#failure = undefined;
    return true;
  }
}
