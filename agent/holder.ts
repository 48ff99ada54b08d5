import type { AgentConfig, ProvingConfig } from './config.ts';
import type { HeldEnvelope } from './envelope.ts';
import { AgentError } from './errors.ts';

/** Keeps one envelope fresh. However many calls wait, at most one exchange is under way. */
export interface Holder {
  /** The held envelope, renewed when little of its life is left. @throws {AgentError} as `exchange` and `acceptEnvelope`. */
  current(): Promise<HeldEnvelope>;
  /** Another envelope than `stale`, which an API no longer takes; undefined where there is nobody to ask. */
  replace(stale: HeldEnvelope): Promise<HeldEnvelope | undefined>;
}

/** Holds what was handed over, to its end. */
export function createHandedHolder({ ports }: ProvingConfig, handed: HeldEnvelope): Holder {
  return {
    current: async () => {
      if (handed.expiresAt > ports.now()) return handed;
      throw new AgentError('envelope_expired', 'the envelope that was handed over has expired');
    },
    replace: async () => undefined,
  };
}

/** Holds what `obtain` gives, and asks it again before that ends. */
export function createHolder(
  config: Pick<AgentConfig, 'ports' | 'renewBeforeSeconds'>,
  obtain: () => Promise<HeldEnvelope>,
): Holder {
  let held: HeldEnvelope | undefined;
  let pending: Promise<HeldEnvelope> | undefined;

  const renew = async (): Promise<HeldEnvelope> => {
    held = await obtain();
    return held;
  };
  const renewOnce = (): Promise<HeldEnvelope> => {
    pending ??= renew().finally(() => {
      pending = undefined;
    });
    return pending;
  };
  return {
    current: async () => {
      const now = config.ports.now();
      if (held === undefined || held.expiresAt <= now) return renewOnce();
      const margin = Math.min(config.renewBeforeSeconds, (held.expiresAt - held.issuedAt) / 2);
      if (held.expiresAt - now > margin) return held;
      const usable = held;
      try {
        return await renewOnce();
      } catch (error) {
        // An issuer that cannot be reached must not stop an agent whose envelope still holds.
        if (error instanceof AgentError && error.retry && usable.expiresAt > config.ports.now())
          return usable;
        throw error;
      }
    },
    replace: (stale) => (held !== undefined && held !== stale ? Promise.resolve(held) : renewOnce()),
  };
}
