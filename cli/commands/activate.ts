import type { Signer } from '@bulla/verifier';
import { activationRequest, Ceremony, type Outcome } from '../activation/ceremony.ts';
import { complete, type Invitation, type Invited, look, parseInvitation } from '../activation/invitation.ts';
import { serveLoopback } from '../activation/loopback.ts';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fingerprintLines, fingerprintWords } from '../fingerprint.ts';
import { KeyRing } from '../keys.ts';
import { Ledger } from '../ledger.ts';
import { fields } from '../output.ts';
import type { Session } from '../session.ts';

export function registerActivate(program: BullaCommand): void {
  program
    .command('activate')
    .description(
      'Confirm that it is you: makes your key on this computer, takes you to the log-in of your organisation.',
    )
    .argument('<invitation>', 'the address of your mail, with what follows #; or - for stdin')
    .option('--key <name>', 'name of your key in the home', 'me')
    .option('--recovery <name>', 'also make a key to recover by; keep it away from this computer')
    .option('--no-browser', 'print the address of the page instead of opening it')
    .example("bulla activate 'https://issuer.example/a/acct_…/activate#…'")
    .run(activate);
}

const ceremonySeconds = 1800;

async function activate(session: Session, given: Given): Promise<void> {
  const { output, surroundings } = session;
  const text = given.argument(0);
  const invitation = parseInvitation(text === '-' ? await surroundings.readStdin() : text);
  const invited = await look(invitation, surroundings.ports);
  const key = given.required('key');
  if (invited.confirmed && session.home.hasKey(key)) {
    const signer = await session.keys.signer(key);
    if (await isTheirs(session, invitation, invited, { name: key, signer })) return;
  }
  const outcome = await hold(session, given, invitation, invited);
  if (outcome.kind === 'handed-over') {
    output.result(
      { principal: invited.principal, key: outcome.signer.publicKey.thumbprint, handOver: outcome.handOver },
      [
        'your key is made; a sponsor has to sign for you. Hand them this, so that nobody can change it on the way:',
        '',
        outcome.handOver,
        '',
        'They compare these words with you before they sign:',
        ...fingerprintLines(outcome.signer.publicKey.thumbprint),
        'then: run `bulla activate` with your invitation again',
      ],
    );
    return;
  }
  await report(session, invited, { name: key, signer: outcome.signer });
}

interface OwnKey {
  readonly name: string;
  readonly signer: Signer;
}

/** After a sponsor or an admin let the key in: spends the invitation for a read token. @returns whether the key is the person's. */
async function isTheirs(
  session: Session,
  invitation: Invitation,
  invited: Invited,
  key: OwnKey,
): Promise<boolean> {
  const { ports } = session.surroundings;
  const request = activationRequest(invited, key, {}, Math.floor(ports.now()) + 300);
  try {
    const { readToken } = await complete(invitation, request, ports);
    await settle(session, invitation, invited, key, readToken);
  } catch (error) {
    if (error instanceof CliError && error.reason === 'rule_status') return false;
    throw error;
  }
  await report(session, invited, key);
  return true;
}

/** Serves the pages until the person is through, or the command is told to stop. */
async function hold(
  session: Session,
  given: Given,
  invitation: Invitation,
  invited: Invited,
): Promise<Outcome> {
  const { surroundings } = session;
  const name = given.required('key');
  const recovery = given.text('recovery');
  let resolve: (outcome: Outcome) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const ended = new Promise<Outcome>((...both) => {
    [resolve, reject] = both;
  });
  const ring = (passphrase: string | undefined): KeyRing =>
    passphrase === undefined
      ? session.keys
      : new KeyRing(session.home, {}, { ...surroundings, readSecret: async () => passphrase });
  let ceremony: Ceremony | undefined;
  const page = await serveLoopback(async (request) => ceremony?.answer(request));
  ceremony = new Ceremony({
    invitation,
    invited,
    redirectUri: page.redirectUri,
    asksPassphrase: session.keys.wouldAsk,
    surroundings,
    makeKey: async (passphrase) => {
      const keys = ring(passphrase);
      const { signer } = await keys.signerOrNew(name);
      const further = recovery === undefined ? undefined : (await keys.signerOrNew(recovery)).signer;
      return { signer, ...(further !== undefined && { recovery: further }) };
    },
    confirm: async (signer, readToken) => settle(session, invitation, invited, { name, signer }, readToken),
    onEnd: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
  });
  const timer = setTimeout(() => reject(gaveUp()), ceremonySeconds * 1000);
  const stop = (): void => reject(gaveUp());
  surroundings.stopped.addEventListener('abort', stop);
  try {
    show(session, given, page.url);
    if (surroundings.stopped.aborted) stop();
    return await ended;
  } finally {
    clearTimeout(timer);
    surroundings.stopped.removeEventListener('abort', stop);
    await page.close();
  }
}

function show({ surroundings, output }: Session, given: Given, url: string): void {
  if (given.flag('browser')) {
    output.note('opening a page in your browser; Ctrl-C ends it');
    surroundings.openBrowser(url);
  } else {
    // Not a note: whoever runs this from a program needs it too. It works once, for one browser of this computer.
    surroundings.stderr(`open ${url}\n`);
  }
}

function gaveUp(): CliError {
  return new CliError('not_confirmed', 'the page was not gone through: nothing was confirmed');
}

/** Keeps account and read token, follows the log, and believes nothing else. @returns what to show. */
async function settle(
  session: Session,
  { url, account }: Invitation,
  { principal }: Invited,
  { name, signer }: OwnKey,
  readToken: string,
): Promise<Readonly<Record<string, string>>> {
  const { home, surroundings } = session;
  const { thumbprint } = signer.publicKey;
  home.putPerson({ account, url, readToken }, { id: principal, key: name });
  return home.exclusively(account, async (folder) => {
    const { ports } = surroundings;
    const ledger = await Ledger.open({ account, url, readToken, folder, admins: [], ports });
    try {
      const record = ledger.trust.read(`principal/${principal}`);
      if (record?.status !== 'active' || !record.keys.includes(thumbprint)) {
        throw new CliError(
          'not_in_checkpoint',
          'the log does not show your key: the issuer said that it does',
        );
      }
      return {
        Person: principal,
        Assurance: record.assurance,
        'Key in words': fingerprintWords(thumbprint).join(' '),
      };
    } finally {
      await ledger.close();
    }
  });
}

async function report(
  session: Session,
  { principal, account }: Invited,
  { name, signer }: OwnKey,
): Promise<void> {
  const { thumbprint } = signer.publicKey;
  await session.reading((ledger) => {
    const record = ledger.trust.read(`principal/${principal}`);
    session.output.result(
      { principal, account, status: record?.status, assurance: record?.assurance, key: thumbprint },
      [
        `you are ${principal}`,
        ...fields({ account, assurance: record?.assurance, key: `${name}, in ${session.home.folder}` }),
        'your key in words, to read to whoever asks:',
        ...fingerprintLines(thumbprint),
        'next: bulla me',
      ],
    );
  });
}
