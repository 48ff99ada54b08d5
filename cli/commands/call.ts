import { readFileSync } from 'node:fs';
import { type Agent, createAgent, readProblem } from '@bulla/agent';
import { type AuthorizationDetail, inspect, parseAuthorizationDetails } from '@bulla/verifier/envelope';
import type { BullaCommand, Given } from '../command.ts';
import { denialLines } from '../denial.ts';
import { CliError, exitCodes } from '../errors.ts';
import { readPrivateFile, writePrivateFile } from '../files.ts';
import type { Session } from '../session.ts';

export function registerCall(program: BullaCommand): void {
  program
    .command('call')
    .description('A curl that proves: exchange for an envelope, prove the request, send it.')
    .argument('<url>', 'absolute URL')
    .option(
      '--agent <id>',
      'as whom: an agent (or a person) of the log; not with an envelope that was handed over',
    )
    .requiredOption('--key <key>', 'its key: a name in the home or a file')
    .option('--resource <url>', 'audience of the API (default: its origin with a slash)')
    .option('--issuer <url>', "issuer identifier (default: that of the home's account)")
    .option('-X, --request <method>', 'method (default: GET, or POST with a body)')
    .many('-H, --header <field>', '`Name: value`; repeat')
    .option('-d, --data <body>', 'body; @file reads a file, @- stdin')
    .many('--bind <name>', 'header field that the API wants bound into the proof; repeat')
    .many('--action <id>', 'ask for these actions only; repeat')
    .option('--ask <json>', 'ask for exactly this: authorization_details of type bulla')
    .option(
      '--envelope <file>',
      'spend the envelope of this file while it lives; else get one and keep it there',
    )
    .option('--approval-request <file>', 'write what approvers are sent to this file, and send nothing')
    .many('--approval <file>', 'send the approval in this file along; repeat')
    .option('-i, --include', 'print status and header fields too')
    .example(
      'bulla call --agent agt_9b01d4… --key ci --resource https://orders.example/ https://orders.example/orders/7',
    )
    .run(call);
}

async function call(session: Session, given: Given): Promise<number | undefined> {
  const url = given.argument(0);
  if (!URL.canParse(url)) throw new CliError('argument_invalid', '`<url>` is not an absolute URL');
  const body = await readBody(session, given.text('data'));
  const agent = await openAgent(session, given, new URL(url));
  const request = {
    method: given.text('request') ?? (body === undefined ? 'GET' : 'POST'),
    // As it will be sent: `fetch` adds a Content-Type to a text that has none.
    headers: new Request(url, {
      method: 'POST',
      headers: given.each('header').map(readField),
      body: body ?? null,
    }).headers,
    ...(body !== undefined && { body }),
  };
  const wanted = given.text('approvalRequest');
  if (wanted !== undefined) {
    const file = given.required('envelope');
    await describe(session, agent, wanted, { ...request, url });
    await keep(agent, file);
    return undefined;
  }
  const approvals = given.each('approval').map(readApproval);
  const response = await agent.fetch(url, { ...request, redirect: 'manual', approvals });
  await keep(agent, given.text('envelope'));
  await print(session, given, response);
  return response.ok ? undefined : exitCodes.no.exit;
}

async function openAgent(session: Session, given: Given, { origin }: URL): Promise<Agent> {
  const { ports } = session.surroundings;
  const key = await session.keys.open(given.required('key'));
  const common = { key, origins: [origin], bindHeaders: given.list('bind'), ports };
  const file = given.text('envelope');
  const envelope = file === undefined ? undefined : readPrivateFile(file)?.trim();
  const handed = given.text('agent') === undefined;
  if (envelope !== undefined && (handed || inspect(envelope).effective.exp > ports.now())) {
    return createAgent({ ...common, envelope });
  }
  return createAgent({
    ...common,
    issuer: given.text('issuer') ?? `${session.account.url}/a/${session.account.account}`,
    clientId: given.required('agent'),
    resource: given.text('resource') ?? `${origin}/`,
    authorizationDetails: asked(given),
  });
}

async function keep(agent: Agent, file: string | undefined): Promise<void> {
  if (file !== undefined) writePrivateFile(file, `${await agent.envelope()}\n`);
}

async function describe(
  { output }: Session,
  agent: Agent,
  file: string,
  request: {
    readonly url: string;
    readonly method: string;
    readonly headers: Headers;
    readonly body?: string | Buffer;
  },
): Promise<void> {
  const sent = await agent.approvalRequest({ ...request, headers: Object.fromEntries(request.headers) });
  writePrivateFile(file, `${JSON.stringify(sent, null, 2)}\n`);
  output.result({ request: sent.request, envelope: sent.envelope, file }, [
    `wrote ${file}: have it approved with \`bulla approve\`, then repeat this call with --approval`,
  ]);
}

function readApproval(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new CliError('argument_invalid', 'the file of `--approval` cannot be read');
  }
}

async function print({ output, surroundings }: Session, given: Given, response: Response): Promise<void> {
  const { status, statusText, headers } = response;
  const problem = await readProblem(response);
  const text = await response.text();
  const statusLine = `${status} ${statusText}`.trim();
  const head = given.flag('include')
    ? [statusLine, ...[...headers].map(([name, value]) => `${name}: ${value}`), '']
    : [];
  if (!given.flag('include') && !response.ok) output.note(statusLine);
  const sent = { handed: given.text('agent') === undefined, approvals: given.each('approval').length > 0 };
  for (const line of problem === undefined ? [] : denialLines(problem, sent)) output.note(line);
  if (output.json) output.result({ status, headers: Object.fromEntries(headers), body: parsed(text) }, []);
  else surroundings.stdout([...head, text.endsWith('\n') || text === '' ? text : `${text}\n`].join('\n'));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function asked(given: Given): readonly AuthorizationDetail[] {
  const actions = given.list('action');
  const text = given.text('ask');
  if (text === undefined) return actions.length === 0 ? [] : [{ type: 'bulla', actions }];
  if (actions.length > 0) throw new CliError('argument_invalid', 'give `--action` or `--ask`, not both');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CliError('argument_invalid', '`--ask` is not JSON');
  }
  return parseAuthorizationDetails(Array.isArray(value) ? value : [value]);
}

function readField(field: string): [string, string] {
  const colon = field.indexOf(':');
  if (colon < 1) throw new CliError('argument_invalid', 'a `--header` is `Name: value`');
  return [field.slice(0, colon).trim(), field.slice(colon + 1).trim()];
}

async function readBody(
  session: Session,
  data: string | undefined,
): Promise<string | Buffer<ArrayBuffer> | undefined> {
  if (data === undefined || !data.startsWith('@')) return data;
  if (data === '@-') return session.surroundings.readStdin();
  try {
    return Buffer.from(readFileSync(data.slice(1)));
  } catch {
    throw new CliError('argument_invalid', 'the file of `--data` cannot be read');
  }
}
