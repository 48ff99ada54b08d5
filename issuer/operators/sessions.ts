import { hash } from 'node:crypto';
import { Refusal } from '@bulla/verifier';
import { type JsonObject, parseOutsideToken, type UnverifiedOutsideToken } from '@bulla/verifier/envelope';
import type { AccountConfig } from '../account-config.ts';
import { IssuerRefusal } from '../errors.ts';
import { createDocumentFetch } from '../federation/fetch-document.ts';
import { KeySource } from '../federation/key-source.ts';
import { bearerOf, isKnownToken } from '../http/read-token.ts';
import type { IssuerPorts } from '../ports.ts';
import { secretHash } from '../secrets.ts';
import { operatorSessions } from '../store/operators.ts';
import type { AccountStore } from '../store/store.ts';
import { addRow, removeRows } from '../store/table.ts';
import type { OperatorLogin } from './config.ts';

/** Who asks: the name of a configured token, or `login/<hash of the subject>`. For log lines, never a person's name. */
export interface Operator {
  readonly name: string;
}

const skewSeconds = 60;
/** From the IdP's signature to the session. */
const maxTokenAgeSeconds = 300;
const sessionForm = /^[A-Za-z0-9_-]{43}$/u;

/** Who operates one account: tokens of the configuration, and sessions of people who logged in at their IdP. */
export class Operators {
  readonly #config: AccountConfig;
  readonly #store: AccountStore;
  readonly #ports: IssuerPorts;
  readonly #keys: KeySource | undefined;

  constructor(config: AccountConfig, store: AccountStore, ports: IssuerPorts) {
    this.#config = config;
    this.#store = store;
    this.#ports = ports;
    const login = config.operators?.login;
    if (login === undefined) return;
    this.#keys = new KeySource(
      { ...login, kind: 'openid' },
      {
        fetchDocument: createDocumentFetch({
          lookup: ports.lookup,
          timeoutSeconds: config.keySetTimeoutSeconds,
        }),
        now: ports.now,
        cooldownSeconds: config.keySetCooldownSeconds,
      },
    );
  }

  /** Where operators log in; undefined: only tokens are taken. */
  get login(): OperatorLogin | undefined {
    return this.#config.operators?.login;
  }

  /** Lets an operator pass. @throws {IssuerRefusal} `operator_unauthenticated`. */
  async require(authorization: string | undefined): Promise<Operator> {
    const token = bearerOf(authorization);
    if (token !== undefined) {
      const known = this.#config.operators?.tokens.find((each) => isKnownToken([each], token));
      if (known !== undefined) return { name: known.name };
      const session = await this.#store.first(operatorSessions, { sha256: secretHash(token) });
      if (session !== undefined && session.expires > this.#ports.now() && this.#isOperator(session.subject)) {
        return { name: nameOf(session.subject) };
      }
    }
    throw new IssuerRefusal('operator_unauthenticated', 'operator token is missing, unknown or expired');
  }

  /**
   * Opens a session for whoever shows an ID token and the secret that its `nonce` is the SHA-256 of. The secret is the
   * session's token from then on: nobody else who sees the ID token, the IdP included, can use it.
   *
   * @returns when it ends, Unix seconds.
   * @throws {IssuerRefusal} `operator_login_refused`, one answer to everything; `key_set_unavailable`.
   */
  async open(idToken: string, secret: string): Promise<number> {
    const { login } = this;
    if (login === undefined || !sessionForm.test(secret)) throw refused();
    const claims = await this.#verified(idToken, login);
    const nonce = secretHash(secret);
    const now = this.#ports.now();
    const { sub: subject } = claims;
    if (!holds(claims, login, nonce, now) || typeof subject !== 'string' || !this.#isOperator(subject))
      throw refused();
    const used = await this.#store.useOnce(
      [`operator/${nonce}`],
      now + maxTokenAgeSeconds + skewSeconds,
      now,
    );
    if (used.length > 0) throw refused();
    const expires = Math.floor(now) + login.sessionSeconds;
    await this.#store.writeRows([
      removeRows(operatorSessions, { expires: { below: Math.floor(now) } }),
      addRow(operatorSessions, { sha256: nonce, subject, expires }),
    ]);
    this.#ports.log({
      level: 'info',
      event: 'operator.logged_in',
      account: this.#store.account,
      operator: nameOf(subject),
    });
    return expires;
  }

  /** Ends the session of this token, if it is one. */
  async end(authorization: string | undefined): Promise<void> {
    const sha256 = secretHash(bearerOf(authorization) ?? '');
    await this.#store.writeRows([removeRows(operatorSessions, { sha256 })]);
  }

  #isOperator(subject: unknown): boolean {
    return this.login?.subjects.some((each) => each === subject) === true;
  }

  async #verified(idToken: string, { issuer }: OperatorLogin): Promise<JsonObject> {
    const token = parsed(idToken);
    // Before anything is fetched for it.
    if (token.claims['iss'] !== issuer) throw refused();
    const source = this.#keys;
    if (source === undefined) throw refused();
    const fits = (): boolean => source.usable?.keys.some(({ id }) => id === token.keyId) === true;
    if (source.isOld || !fits()) {
      await source.refresh((reason) => {
        const line = { event: 'operator.keys_unavailable', account: this.#store.account, reason };
        this.#ports.log({ level: 'warn', ...line });
      });
    }
    if (source.usable === undefined) {
      throw new IssuerRefusal('key_set_unavailable', 'key set of the IdP of operators cannot be had');
    }
    const signed = source.usable.keys.some(
      ({ id, key }) =>
        (token.keyId === undefined || id === token.keyId) &&
        key.algorithms.includes(token.algorithm) &&
        key.verify(token.algorithm, token.signingInput, token.signature),
    );
    if (!signed) throw refused();
    return token.claims;
  }
}

function parsed(idToken: string): UnverifiedOutsideToken {
  try {
    return parseOutsideToken(idToken);
  } catch (error) {
    if (error instanceof Refusal) throw refused();
    throw error;
  }
}

/** Written so that what is no number, and no text, refuses. */
function holds(claims: JsonObject, { clientId }: OperatorLogin, nonce: string, now: number): boolean {
  const { aud, azp, exp, iat } = claims;
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const party = azp === undefined && audiences.length === 1 ? clientId : azp;
  return (
    audiences.includes(clientId) &&
    party === clientId &&
    claims['nonce'] === nonce &&
    typeof exp === 'number' &&
    now < exp &&
    typeof iat === 'number' &&
    iat <= now + skewSeconds &&
    now <= iat + maxTokenAgeSeconds
  );
}

function nameOf(subject: string): string {
  return `login/${hash('sha256', subject, 'base64url').slice(0, 11)}`;
}

function refused(): IssuerRefusal {
  return new IssuerRefusal('operator_login_refused', 'log-in is not taken');
}
