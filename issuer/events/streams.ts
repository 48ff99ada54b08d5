import type { AccountConfig } from '../account-config.ts';
import { createDocumentFetch } from '../federation/fetch-document.ts';
import { KeySource } from '../federation/key-source.ts';
import type { AccountLog } from '../log/account-log.ts';
import type { IssuerPorts } from '../ports.ts';
import { loadSecret, loadSigner } from '../secrets.ts';
import type { AccountStore } from '../store/store.ts';
import { EventPoller } from './poll.ts';
import { EventStream } from './stream.ts';

export interface EventStreamsOptions {
  readonly config: AccountConfig;
  readonly log: AccountLog;
  readonly store: AccountStore;
  readonly ports: IssuerPorts;
}

/** The streams of security events of one account. */
export class EventStreams {
  readonly #streams: ReadonlyMap<string, EventStream>;
  readonly #pollers: readonly EventPoller[];

  /** Asks nobody anything yet. @throws {ConfigError} for a key or token file that cannot be used. */
  constructor({ config, log, store, ports }: EventStreamsOptions) {
    const fetchDocument = createDocumentFetch({
      lookup: ports.lookup,
      timeoutSeconds: config.keySetTimeoutSeconds,
    });
    const cooldownSeconds = config.keySetCooldownSeconds;
    const streams = config.eventStreams.map((stream) => {
      const signer = loadSigner('delegateKeyFile', stream.delegateKeyFile);
      const keys = new KeySource(
        { kind: 'ssf', ...stream },
        { fetchDocument, now: ports.now, cooldownSeconds },
      );
      return new EventStream({ config: stream, signer, keys, log, store, ports });
    });
    this.#streams = new Map(streams.map((stream) => [stream.config.name, stream]));
    this.#pollers = streams.flatMap((stream) => {
      const { delivery, dangerouslyAllowPrivateAddresses } = stream.config;
      if (!('poll' in delivery)) return [];
      loadSecret('tokenFile', delivery.poll.tokenFile);
      const reach = dangerouslyAllowPrivateAddresses ? 'private' : 'public';
      const line: IssuerPorts['log'] = (each) => ports.log({ ...each, account: log.account });
      return [new EventPoller({ stream, config: delivery.poll, reach, fetchDocument, log: line })];
    });
  }

  get(name: string): EventStream | undefined {
    return this.#streams.get(name);
  }

  /** Begins to poll where streams are polled. */
  start(): void {
    for (const poller of this.#pollers) poller.start();
  }

  /** Stops polling; waits for what is being applied. */
  async close(): Promise<void> {
    await Promise.all(this.#pollers.map((poller) => poller.close()));
  }
}
