import type { Signer } from '@bulla/verifier';
import { type Operation, signRequest } from '@bulla/verifier/log';
import { CliError, describeFailure } from '../errors.ts';
import { fingerprintWords } from '../fingerprint.ts';
import { isCallback, type Login, startLogin } from '../login.ts';
import type { Surroundings } from '../surroundings.ts';
import { complete, type Invitation, type Invited } from './invitation.ts';
import type { PageRequest } from './loopback.ts';
import { donePage, failedPage, leavingPage, sponsorPage, welcomePage } from './page.ts';

type Activate = Extract<Operation, { readonly type: 'principal.activate' }>;
/** Whose word goes with the new key: a log-in that has its thumbprint as nonce, or nobody's. */
type Proof = Pick<Activate, 'login'>;

/** What came of it: confirmed, or something to carry to a sponsor. */
export type Outcome =
  | { readonly kind: 'activated'; readonly signer: Signer }
  | { readonly kind: 'handed-over'; readonly signer: Signer; readonly handOver: string };

export interface CeremonyOptions {
  readonly invitation: Invitation;
  readonly invited: Invited;
  readonly redirectUri: string;
  /** Makes the person's key in the home, or opens it where it is there already. Undefined passphrase: it is known otherwise. */
  readonly makeKey: (passphrase: string | undefined) => Promise<OwnKeys>;
  readonly asksPassphrase: boolean;
  /** Follows the log until it shows the key. @returns what to tell the person. */
  readonly confirm: (signer: Signer, readToken: string) => Promise<Readonly<Record<string, string>>>;
  readonly surroundings: Surroundings;
  readonly onEnd: (outcome: Outcome | Error) => void;
}

/** The person's key, and one to recover by, where they want one. */
export interface OwnKeys {
  readonly signer: Signer;
  readonly recovery?: Signer;
}

/** A sponsor has a week, as long as requests live. */
const handOverSeconds = 604_000;
const requestSeconds = 300;
/** What a person can put right on the page; anything else ends the command. */
const retryable: ReadonlySet<string> = new Set([
  'login_refused',
  'login_unreachable',
  'passphrase_wrong',
  'issuer_unreachable',
]);

/** The pages of `bulla activate`, one step after the other. The key is made in this process and leaves it nowhere. */
export class Ceremony {
  readonly #options: CeremonyOptions;
  #made: OwnKeys | undefined;
  #login: Login | undefined;

  constructor(options: CeremonyOptions) {
    this.#options = options;
  }

  async answer({ method, url, form }: PageRequest): Promise<string | undefined> {
    const { invited } = this.#options;
    const step = `${method} ${url.pathname}`;
    try {
      if (step === 'GET /') return welcomePage(invited, this.#asksPassphrase);
      if (step === 'POST /key') return await this.#begin(form);
      if (method === 'GET' && isCallback(url.pathname)) return await this.#finishLogin(url);
      return undefined;
    } catch (error) {
      const { code, message } = describeFailure(error);
      if (code === 'passphrase_wrong') return welcomePage(invited, this.#asksPassphrase, message);
      const again = retryable.has(code);
      if (!again) this.#options.onEnd(error instanceof Error ? error : new Error('unknown fault'));
      return failedPage(message, code, again);
    }
  }

  get #asksPassphrase(): boolean {
    return this.#options.asksPassphrase && this.#made === undefined;
  }

  async #begin(form: URLSearchParams): Promise<string | undefined> {
    const { invited, redirectUri, surroundings } = this.#options;
    const way = form.get('way');
    if (way !== (invited.login === null ? way : 'login')) return undefined;
    const keys = await this.#key(form);
    if (way === 'delegate') return this.#complete(keys, {});
    if (way === 'sponsor') return this.#handOver(keys);
    if (invited.login === null) return undefined;
    this.#login = await startLogin({
      issuer: invited.login.issuer,
      clientId: invited.login.audience,
      redirectUri,
      nonce: keys.signer.publicKey.thumbprint,
      ports: surroundings.ports,
    });
    return leavingPage(this.#login.url);
  }

  /** Made once, whatever goes wrong after it. */
  async #key(form: URLSearchParams): Promise<OwnKeys> {
    if (this.#made !== undefined) return this.#made;
    const passphrase = form.get('passphrase') ?? '';
    if (this.#options.asksPassphrase) {
      if (passphrase === '') throw new CliError('passphrase_wrong', 'the passphrase is empty');
      if (passphrase !== form.get('again')) {
        throw new CliError('passphrase_wrong', 'the two passphrases differ');
      }
    }
    this.#made = await this.#options.makeKey(this.#options.asksPassphrase ? passphrase : undefined);
    return this.#made;
  }

  async #finishLogin(answer: URL): Promise<string | undefined> {
    const { salt } = this.#options.invited.login ?? {};
    const [login, keys] = [this.#login, this.#made];
    if (login === undefined || keys === undefined || salt === undefined) return undefined;
    this.#login = undefined;
    const { idToken, jwk } = await login.finish(answer);
    return this.#complete(keys, { login: { token: idToken, jwk, salt } });
  }

  async #complete(keys: OwnKeys, proof: Proof): Promise<string> {
    const { invitation, surroundings, confirm, onEnd } = this.#options;
    const request = this.#request(keys, proof, requestSeconds);
    const { readToken } = await complete(invitation, request, surroundings.ports);
    const shown = await confirm(keys.signer, readToken);
    onEnd({ kind: 'activated', signer: keys.signer });
    return donePage(shown);
  }

  #handOver(keys: OwnKeys): string {
    const handOver = this.#request(keys, {}, handOverSeconds);
    this.#options.onEnd({ kind: 'handed-over', signer: keys.signer, handOver });
    return sponsorPage(handOver, fingerprintWords(keys.signer.publicKey.thumbprint).join(' '));
  }

  #request(keys: OwnKeys, proof: Proof, seconds: number): string {
    const { invited, surroundings } = this.#options;
    return activationRequest(invited, keys, proof, Math.floor(surroundings.ports.now()) + seconds);
  }
}

/** The request by which a key asks to become the person's, signed by that key itself. `notAfter`: Unix seconds. */
export function activationRequest(
  { account, principal, subjectVersion }: Pick<Invited, 'account' | 'principal' | 'subjectVersion'>,
  { signer, recovery }: OwnKeys,
  proof: Proof,
  notAfter: number,
): string {
  return signRequest(
    {
      account,
      op: {
        type: 'principal.activate',
        principal,
        key: signer.publicKey.jwk,
        ...proof,
        ...(recovery !== undefined && { recovery: recovery.publicKey.jwk }),
      },
      subject: `principal/${principal}`,
      subjectVersion,
      notAfter,
    },
    signer,
    recovery === undefined ? [] : [recovery],
  );
}
