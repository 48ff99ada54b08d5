import { once } from 'node:events';
import type { BullaCommand, Given } from '../command.ts';
import { describeFailure } from '../errors.ts';
import { loadGuardConfig } from '../guard/config.ts';
import { startGuard } from '../guard/run.ts';
import { fields } from '../output.ts';
import type { Session } from '../session.ts';

const defaultConfig = 'guard.json';

export function registerGuard(program: BullaCommand): void {
  program
    .command('guard')
    .description('Decide requests for an API behind nginx, Envoy or another proxy, until told to stop.')
    .option('--config <file>', `its configuration (default: BULLA_GUARD_CONFIG, or ${defaultConfig})`)
    .option('--check', 'check the configuration and the lock, and start nothing')
    .addHelpText(
      'after',
      '\nFurther examples:\n  $ bulla guard --check --config /etc/bulla/guard.json\n  $ bulla guard --json >> receipts.jsonl',
    )
    .example('bulla guard --config /etc/bulla/guard.json')
    .run(guard);
}

async function guard({ output, surroundings }: Session, given: Given): Promise<void> {
  const { env, ports, stdout, stderr, stopped } = surroundings;
  const file = given.text('config') ?? env['BULLA_GUARD_CONFIG'] ?? defaultConfig;
  const config = loadGuardConfig(file);
  const { account, audience, nginx, envoy, authzen } = config;
  const forms = Object.entries({ nginx, envoy, authzen }).flatMap(([name, on]) =>
    on === undefined || on === false ? [] : [name],
  );
  const facts = { account, audience, forms: forms.join(', ') };
  if (given.flag('check')) {
    output.result({ file, account, audience, forms, valid: true }, [
      `\`${file}\` is valid`,
      ...fields(facts),
    ]);
    return;
  }
  const running = await startGuard(config, {
    ports,
    receipt: stdout,
    alarm: ({ code, message, halted }) =>
      output.warn(`${message} (${code})${halted ? '; guard denies everything from now on' : ''}`),
    fault: (error) => output.warn(`a decision failed inside guard (${describeFailure(error).code})`),
  });
  const started = { url: running.url, account, audience, forms };
  // Receipts have stdout to themselves where they go there.
  if (config.receiptsFile !== undefined) output.result(started, [`guard listens on ${running.url}`]);
  else stderr(output.json ? `${JSON.stringify(started)}\n` : `guard listens on ${running.url}\n`);
  if (!stopped.aborted) await once(stopped, 'abort');
  await running.close();
}
