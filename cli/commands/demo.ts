import type { BullaCommand, Given } from '../command.ts';
import { runDemo } from '../demo/run.ts';
import { CliError } from '../errors.ts';
import type { Session } from '../session.ts';

export function registerDemo(program: BullaCommand): void {
  program
    .command('demo')
    .description('Tell the whole story on loopback: mint, use, narrow, replay, steal, revoke.')
    .option('--rounds <count>', 'suspensions that are timed', '20')
    .example('bulla demo --rounds 100')
    .run(demo);
}

async function demo({ output, surroundings }: Session, given: Given): Promise<void> {
  const rounds = Number(given.required('rounds'));
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new CliError('argument_invalid', '`--rounds` is not a number from 1 to 1000');
  }
  const report = await runDemo({
    rounds,
    tell: (text) => {
      if (!output.json) surroundings.stdout(text);
    },
  });
  output.result({ ...report }, ['Everything went as the story says.']);
}
