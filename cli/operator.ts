import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { isJsonObject } from '@bulla/verifier/envelope';
import { type LoopbackPage, serveLoopback } from './activation/loopback.ts';
import { failedPage, loggedInPage, loginPage } from './activation/page.ts';
import { CliError, describeFailure } from './errors.ts';
import { readPrivateFile, writePrivateFile } from './files.ts';
import { ask, type Question } from './issuer-client.ts';
import { isCallback, type Login, startLogin } from './login.ts';
import type { Session } from './session.ts';

/** Where an operator is logged in. The token is the session's secret. */
interface OperatorSession {
  /** `<origin>/a/<account>`. */
  readonly base: string;
  readonly token: string;
  /** Unix seconds. */
  readonly expires: number;
}

const loginSeconds = 600;
const baseForm = /^https?:\/\/[^/?#]+\/a\/acct_[A-Za-z0-9_-]{43}$/u;

/**
 * Logs an operator in at the IdP that the issuer names, and keeps the session in the home. The session's secret is made here;
 * the ID token's `nonce` is its SHA-256, so that the token is of no use to whoever else sees it.
 *
 * @throws {CliError} `login_refused`, `login_unreachable`, `issuer_refused`, `issuer_unreachable`, `not_confirmed`.
 */
export async function logInOperator(
  session: Session,
  { base, browser }: { readonly base: string; readonly browser: boolean },
): Promise<OperatorSession> {
  const { surroundings } = session;
  const { issuer, client_id: clientId } = await ask(surroundings.ports, { url: `${base}/operator/login` });
  if (typeof issuer !== 'string' || typeof clientId !== 'string') {
    throw new CliError('issuer_refused', 'the issuer does not say where operators log in');
  }
  const token = randomBytes(32).toString('base64url');
  const nonce = createHash('sha256').update(token).digest('base64url');
  const idToken = await throughBrowser(session, browser, (page) =>
    startLogin({ issuer, clientId, redirectUri: page.redirectUri, nonce, ports: surroundings.ports }),
  );
  const { expires } = await ask(surroundings.ports, {
    url: `${base}/operator/session`,
    body: { id_token: idToken, session: token },
  });
  const made = { base, token, expires: typeof expires === 'number' ? expires : 0 };
  writePrivateFile(fileOf(session), `${JSON.stringify({ version: 1, ...made }, null, 2)}\n`);
  return made;
}

/** Ends the session at the issuer, as far as it answers, and forgets it here. */
export async function logOutOperator(session: Session): Promise<void> {
  const { base, token } = current(session, undefined);
  rmSync(fileOf(session), { force: true });
  await ask(session.surroundings.ports, { url: `${base}/operator/session/end`, method: 'POST', token });
}

/**
 * Asks the issuer something as operator: with the token of a file, or the session of the last log-in.
 *
 * @param route after `/operator`.
 * @throws {CliError} `operator_missing`, `issuer_refused`, `issuer_unreachable`.
 */
export async function askAsOperator(
  session: Session,
  route: string,
  question: Pick<Question, 'method' | 'body'> & { readonly tokenFile?: string | undefined } = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { tokenFile, ...rest } = question;
  const { base, token } = current(session, tokenFile);
  return ask(session.surroundings.ports, { url: `${base}/operator${route}`, token, ...rest });
}

/** `https://issuer.example/a/acct_…`, as given, or of the home's account. @throws {CliError} `argument_invalid`, `home_missing`. */
export function operatorBase(session: Session, given: string | undefined): string {
  const { url, account } = given === undefined ? session.account : { url: '', account: '' };
  const base = given?.replace(/\/$/u, '') ?? `${url}/a/${account}`;
  if (!baseForm.test(base)) {
    throw new CliError('argument_invalid', 'not an account like `https://issuer.example/a/acct_…`');
  }
  return base;
}

function current(session: Session, tokenFile: string | undefined): Pick<OperatorSession, 'base' | 'token'> {
  if (tokenFile !== undefined) {
    const token = readPrivateFile(tokenFile)?.trim();
    if (token === undefined) throw missing('there is no operator token in this file');
    return { base: operatorBase(session, undefined), token };
  }
  const kept = parseKept(readPrivateFile(fileOf(session)) ?? '');
  if (kept === undefined || kept.expires <= session.surroundings.ports.now()) {
    throw missing('you are not logged in as operator, or no longer');
  }
  return kept;
}

function missing(message: string): CliError {
  return new CliError('operator_missing', message, {
    hint: '`bulla operator login`, or `--operator-token-file`',
  });
}

function parseKept(text: string): OperatorSession | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value) || value['version'] !== 1) return undefined;
    const { base, token, expires } = value;
    const whole = typeof base === 'string' && typeof token === 'string' && typeof expires === 'number';
    return whole ? { base, token, expires } : undefined;
  } catch {
    return undefined;
  }
}

function fileOf({ home }: Session): string {
  return path.join(home.folder, 'operator.json');
}

/** Sends the browser to the IdP and takes what it brings back. */
async function throughBrowser(
  { surroundings, output }: Session,
  browser: boolean,
  begin: (page: LoopbackPage) => Promise<Login>,
): Promise<string> {
  let resolve: (idToken: string) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const ended = new Promise<string>((...both) => {
    [resolve, reject] = both;
  });
  let login: Login | undefined;
  const page = await serveLoopback(async ({ method, url }) => {
    if (method !== 'GET' || login === undefined) return undefined;
    if (url.pathname === '/') return loginPage(login.url);
    if (!isCallback(url.pathname)) return undefined;
    try {
      resolve((await login.finish(url)).idToken);
      return loggedInPage();
    } catch (error) {
      const { code, message } = describeFailure(error);
      reject(error instanceof Error ? error : new Error('unknown fault'));
      return failedPage(message, code, false);
    }
  });
  const stop = (): void => reject(new CliError('not_confirmed', 'nobody logged in'));
  const timer = setTimeout(stop, loginSeconds * 1000);
  surroundings.stopped.addEventListener('abort', stop);
  try {
    login = await begin(page);
    if (browser) {
      output.note('opening a page in your browser; Ctrl-C ends it');
      surroundings.openBrowser(page.url);
    } else {
      surroundings.stderr(`open ${page.url}\n`);
    }
    if (surroundings.stopped.aborted) stop();
    return await ended;
  } finally {
    clearTimeout(timer);
    surroundings.stopped.removeEventListener('abort', stop);
    await page.close();
  }
}
