import type { OutsideKey } from '@bulla/verifier/envelope';
import type { FederationRecord } from '@bulla/verifier/log';
import type { AccountConfig, FederationConfig } from '../account-config.ts';
import { IssuerRefusal } from '../errors.ts';
import type { IssuerPorts } from '../ports.ts';
import { createDocumentFetch } from './fetch-document.ts';
import { type KeySet, KeySource, type KeySourceOptions, type PublishedKey } from './key-source.ts';

/** What the log lines have told of one federation. */
interface Told {
  readonly set: KeySet;
  /** Its keys that the log does not pin. */
  readonly strange: string;
}

/**
 * Key sets (RFC 7517) of outside issuers, fetched when a token needs them and kept for a while. They only find the key that
 * the log pins by thumbprint: whoever controls what is fetched can withhold a key and cannot add one.
 *
 * A fetch happens at most once in `keySetCooldownSeconds` for each place, whatever tokens arrive: federations with one issuer share
 * what was fetched, so that strangers cause no more of it where there are hundreds.
 */
export class KeySets {
  readonly #ports: IssuerPorts;
  readonly #account: string;
  readonly #configured: ReadonlyMap<string, FederationConfig>;
  readonly #sources = new Map<string, KeySource>();
  readonly #told = new Map<string, Told>();
  readonly #options: KeySourceOptions;

  constructor(config: AccountConfig, ports: IssuerPorts) {
    this.#ports = ports;
    this.#account = config.account;
    this.#configured = new Map(config.federations.map((federation) => [federation.name, federation]));
    this.#options = {
      fetchDocument: createDocumentFetch({
        lookup: ports.lookup,
        timeoutSeconds: config.keySetTimeoutSeconds,
      }),
      now: ports.now,
      cooldownSeconds: config.keySetCooldownSeconds,
    };
  }

  /**
   * Finds the keys that may have signed a token: with this `kid`, or all where it names none; published by the issuer now and
   * pinned in the log.
   *
   * Does NOT verify anything with them.
   *
   * @throws {IssuerRefusal} `key_set_unavailable`; `subject_token_refused` where the issuer publishes no such key;
   *   `federation_keys_changed` where it does and the log does not pin it.
   */
  async find(
    name: string,
    record: FederationRecord,
    keyId: string | undefined,
  ): Promise<readonly OutsideKey[]> {
    const source = this.#source(name, record);
    const fits = ({ id }: PublishedKey): boolean => keyId === undefined || id === undefined || id === keyId;
    const isPinned = ({ key }: PublishedKey): boolean => record.keys.includes(key.thumbprint);
    // A key that is pinned and not here may be new under a `kid` that an old one had.
    const known = source.usable?.keys.some((key) => fits(key) && isPinned(key)) === true;
    if (!known || source.isOld) {
      await source.refresh((reason) =>
        this.#log({ level: 'warn', event: 'federation.keys_unavailable', federation: name, reason }),
      );
    }
    const set = source.usable;
    if (set === undefined) {
      throw new IssuerRefusal(
        'key_set_unavailable',
        `key set of the outside issuer cannot be had: ${source.failure ?? 'no answer'}`,
      );
    }
    this.#tell(name, record, set);
    const published = set.keys.filter(fits);
    if (published.length === 0) {
      throw new IssuerRefusal('subject_token_refused', 'outside issuer publishes no key of that `kid`');
    }
    const pinned = published.filter(isPinned);
    if (pinned.length === 0) {
      throw new IssuerRefusal(
        'federation_keys_changed',
        `outside issuer signs with a key that the log does not pin: ask an admin to look at federation \`${name}\``,
      );
    }
    return pinned.map(({ key }) => key);
  }

  /** What is known of the place where the keys are. Nothing else is shared: who may be asked, and which keys are read, is part of it. */
  #source(name: string, { issuer, profile }: FederationRecord): KeySource {
    const { jwksUrl, jwksFile, dangerouslyAllowPrivateAddresses = false } = this.#configured.get(name) ?? {};
    const configured = jwksFile ?? jwksUrl;
    const where = configured === undefined ? { issuer } : { jwksFile, jwksUrl };
    const kind = profile === 'spiffe' ? 'spiffe' : 'openid';
    const place = JSON.stringify([where, kind, dangerouslyAllowPrivateAddresses]);
    const known =
      this.#sources.get(place) ??
      new KeySource({ issuer, jwksUrl, jwksFile, kind, dangerouslyAllowPrivateAddresses }, this.#options);
    this.#sources.set(place, known);
    return known;
  }

  /** Once for each set of strange keys: an issuer that prepares its next key is told of, and not every ten minutes. */
  #tell(name: string, record: FederationRecord, set: KeySet): void {
    const before = this.#told.get(name);
    if (before?.set === set) return;
    const strange = set.keys
      .map(({ key }) => key.thumbprint)
      .filter((thumbprint) => !record.keys.includes(thumbprint))
      .sort()
      .join(' ');
    if (strange !== '' && strange !== before?.strange) {
      this.#log({ level: 'warn', event: 'federation.keys_changed', federation: name, unpinned: strange });
    }
    this.#told.set(name, { set, strange });
  }

  #log(line: Parameters<IssuerPorts['log']>[0]): void {
    this.#ports.log({ ...line, account: this.#account });
  }
}
