import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { type HelperOptions, type RunningHelper, startHelper } from '@bulla/agent/helper';
import { CliError } from '../errors.ts';
import type { Session } from '../session.ts';
import { startChild } from './child.ts';
import { createMask, type Mask } from './mask.ts';
import { type Environment, resolveReferences } from './references.ts';
import type { RunSettings } from './settings.ts';
import { openSource } from './source.ts';

/** Never a child's, whatever else it inherits: they open keys, or belong to an outer helper. */
const ours = ['BULLA_PASSPHRASE', 'BULLA_HELPER', 'BULLA_SOCKET', 'BULLA_AUDIENCE'];

/**
 * Starts a command beside a helper that proves for it, and ends the helper with it. Nothing is started where a reference is
 * wrong or the first envelope is refused.
 *
 * @param onSecret hears of every secret but proofs, once, after the mask does.
 * @returns the exit code of the command.
 */
export async function runWithHelper(
  session: Session,
  settings: RunSettings,
  command: readonly string[],
  onSecret: (value: string) => void = () => undefined,
): Promise<number> {
  const { env } = session.surroundings;
  const mask = createMask();
  const tell = (value: string, keep: 'always' | 'recent'): void => {
    if (mask.add(value, keep)) onSecret(value);
  };
  const given = withEnvFile(env, settings.envFile);
  const { agent, variables } = await agentOf(session, settings, env, tell);
  const removed = new Set([...ours, ...variables, ...settings.secretEnv]);
  for (const name of removed) if (name !== 'BULLA_AUDIENCE') tell(given[name] ?? '', 'always');
  const helper = await startHelper({
    agent,
    socket: settings.socket,
    onSecret: ({ value, kind }) => {
      if (kind === 'spent') mask.add(value, 'recent');
      else tell(value, 'recent');
    },
  });
  try {
    tellToken(helper, tell);
    const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !removed.has(name)));
    const own = withoutOuter(kept, env['BULLA_HELPER'], helper.url);
    const resolved = resolveReferences(own, (host) => helper.handle(host));
    await helper.ready();
    return await runBeside(helper, command, { ...resolved, ...variablesOf(helper, settings) }, mask);
  } finally {
    await helper.close();
  }
}

/** Handles of an outer helper become handles of this one: what the command inherits must not do more than it asked for. */
function withoutOuter(env: Environment, outer: string | undefined, inner: string): Environment {
  if (outer === undefined || outer === '') return env;
  const token = outer.slice(outer.lastIndexOf('/') + 1);
  const turned = Object.entries(env).map(([name, value]) => [name, value?.replaceAll(outer, inner)] as const);
  return Object.fromEntries(turned.filter(([, value]) => value?.includes(token) !== true));
}

function tellToken(helper: RunningHelper, tell: (value: string, keep: 'always' | 'recent') => void): void {
  tell(helper.url.slice(helper.url.lastIndexOf('/') + 1), 'always');
}

async function runBeside(
  helper: RunningHelper,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  mask: Mask,
): Promise<number> {
  const child = await startChild(command, env, mask);
  const exit = await child.ended;
  // At once: what the child has left running finds no helper any more.
  await helper.close();
  await child.drained;
  return exit;
}

function variablesOf(helper: RunningHelper, { audience }: RunSettings): Readonly<Record<string, string>> {
  return {
    BULLA_HELPER: helper.url,
    BULLA_AUDIENCE: audience.join(' '),
    ...(helper.socket !== undefined && { BULLA_SOCKET: helper.socket }),
  };
}

/** As `node --env-file`: what the environment has already stays. */
function withEnvFile(env: Environment, file: string | undefined): Environment {
  if (file === undefined) return env;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new CliError('env_file_missing', `\`${file}\` cannot be read`);
  }
  return { ...parseEnv(text), ...env };
}

async function agentOf(
  session: Session,
  settings: RunSettings,
  env: Environment,
  tell: (value: string, keep: 'always' | 'recent') => void,
): Promise<{ readonly agent: HelperOptions['agent']; readonly variables: readonly string[] }> {
  const { source, key, agent: clientId, audience: resource, details, bindHeaders, forSeconds } = settings;
  const { ports } = session.surroundings;
  const common = { resource, authorizationDetails: details, bindHeaders, ports };
  if (source?.kind === 'helper') {
    // `readSettings` has seen that it is set.
    const { BULLA_HELPER: helper = '', BULLA_SOCKET: helperSocket } = env;
    const ends = forSeconds === undefined ? {} : { until: Math.floor(ports.now()) + forSeconds };
    return {
      agent: { ...common, ...ends, helper, ...(helperSocket !== undefined && { helperSocket }) },
      variables: [],
    };
  }
  if (forSeconds !== undefined) throw new CliError('argument_invalid', '`--for` is for steps only');
  const { issuer } = settings;
  if (issuer === undefined) throw new CliError('run_config_invalid', 'no `issuer`: name it with --issuer');
  const opened = source && openSource(source, env, tell);
  return {
    agent: {
      ...common,
      issuer,
      ...(clientId !== undefined && { clientId }),
      ...(key !== undefined && { key: await session.keys.open(key) }),
      ...(opened !== undefined && { source: opened.source }),
    },
    variables: opened?.variables ?? [],
  };
}
