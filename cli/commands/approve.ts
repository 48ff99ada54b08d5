import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { Refusal } from '@bulla/verifier';
import {
  parseJson,
  readApprovalRequest,
  type ShownApprovalRequest,
  signApproval,
} from '@bulla/verifier/envelope';
import type { BullaCommand, Given } from '../command.ts';
import { CliError } from '../errors.ts';
import { fields, span, when } from '../output.ts';
import { printable } from '../printable.ts';
import type { Session } from '../session.ts';

/** More than a person reads before signing. */
const maxShownBytes = 65_536;

export function registerApprove(program: BullaCommand): void {
  program
    .command('approve')
    .description(
      "Approve one exact request with a person's own key: shows it, computes every hash anew, signs.",
    )
    .argument('<request>', 'what you were sent: a file, or - for stdin')
    .requiredOption('--key <key>', 'your key: a name in the home or a file')
    .option('--for <time>', 'how long it may be used, at most 1h', '10m')
    .option('--yes', 'sign what is shown without asking')
    .option('--unseen-body', 'sign although the content was withheld or is too large to show')
    .example('bulla approve request.json --key me > approval.txt')
    .run(approve);
}

async function approve(session: Session, given: Given): Promise<void> {
  const shown = readApprovalRequest(await readDocument(session, given.argument(0)));
  const unseen = shown.body === undefined || shown.body.length > maxShownBytes;
  for (const line of lines(shown, unseen)) session.output.note(line);
  if (unseen && !given.flag('unseenBody')) {
    throw new CliError(
      'argument_invalid',
      'the content is withheld or too large to show: nothing was signed',
      {
        hint: 'ask for the content; `--unseen-body` signs its digest all the same',
      },
    );
  }
  await confirm(session, given);
  const lifetimeSeconds = given.duration('for') ?? 600;
  if (lifetimeSeconds < 1 || lifetimeSeconds > 3600) {
    throw new CliError('argument_invalid', '`--for` is not 1 s to 1 h');
  }
  const approval = signApproval(shown, {
    signer: await session.keys.signer(given.required('key')),
    now: session.surroundings.ports.now(),
    lifetimeSeconds,
    dangerouslyUnseenBody: unseen,
  });
  session.output.note(`signed: works once, for at most ${span(lifetimeSeconds)}`);
  session.output.result({ approval, shown: document(shown, unseen) }, [approval]);
}

async function readDocument(session: Session, source: string): Promise<unknown> {
  try {
    const bytes = source === '-' ? Buffer.from(await session.surroundings.readStdin()) : readFileSync(source);
    return parseJson(bytes);
  } catch (error) {
    const message = error instanceof Refusal ? 'the request is not JSON' : 'the request cannot be read';
    throw new CliError('argument_invalid', message);
  }
}

/** Nobody is asked where nobody sees what is shown. */
async function confirm({ output, surroundings }: Session, given: Given): Promise<void> {
  if (given.flag('yes')) return;
  if (output.json || surroundings.readSecret === undefined) {
    throw new CliError('argument_invalid', 'there is nobody to ask: nothing was signed', {
      hint: '`--yes` signs what is shown',
    });
  }
  const answer = await surroundings.readSecret('type yes to approve: ');
  if (answer.trim().toLowerCase() !== 'yes') {
    throw new CliError('not_confirmed', 'not approved: nothing was signed');
  }
}

function lines(shown: ShownApprovalRequest, unseen: boolean): readonly string[] {
  const { root } = shown;
  const headers = Object.entries(shown.headers).map(([name, value]) => [printable(name), printable(value)]);
  return [
    'you are asked to approve, once:',
    ...fields({
      method: printable(shown.method),
      url: printable(shown.url),
      ...Object.fromEntries(headers),
      content: shown.body === undefined ? 'WITHHELD' : `${shown.body.length} bytes`,
      digest: printable(shown.contentDigest),
    }),
    ...(unseen ? [] : contentLines(shown.body ?? new Uint8Array())),
    'to be made by:',
    ...fields({
      person: printable(root.sub),
      agent: root.client_id === undefined ? undefined : printable(root.client_id),
      for: root.aud.map(printable).join(', '),
      until: when(root.exp),
    }),
    'what you sign:',
    ...fields({ account: shown.account, request: shown.request, envelope: shown.envelope }),
  ];
}

/** Every line of the content has a mark in front of it, so that none of them can pass for a line of this program. */
function contentLines(body: Uint8Array): readonly string[] {
  if (body.length === 0) return [];
  const text = isUtf8(body) ? Buffer.from(body).toString('utf8') : undefined;
  if (text !== undefined) return text.split('\n').map((line) => `  | ${printable(line)}`);
  return ['  content is not text; in base64:', `  | ${Buffer.from(body).toString('base64')}`];
}

function document(shown: ShownApprovalRequest, unseen: boolean): Readonly<Record<string, unknown>> {
  const { account, method, url, headers, contentDigest, body, root, request, envelope } = shown;
  return {
    account,
    method,
    url,
    headers,
    content_digest: contentDigest,
    ...(!unseen && { body: Buffer.from(body ?? []).toString('base64url') }),
    by: { person: root.sub, agent: root.client_id, audiences: root.aud, until: root.exp },
    request,
    envelope,
  };
}
