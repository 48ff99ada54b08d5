import { linesOf } from '../child/mask.ts';
import { runWithHelper } from '../child/run-with-helper.ts';
import { readSettings } from '../child/settings.ts';
import type { BullaCommand, Given } from '../command.ts';
import type { Session } from '../session.ts';
import { withHelperOptions } from './run.ts';

export function registerCi(program: BullaCommand): void {
  const ci = program
    .command('ci')
    .description("Start a CI job's commands with a helper: one exchange for the job, less for each step.")
    .example('bulla ci job --config .github/bulla.json -- ./deploy.sh');
  withHelperOptions(
    ci
      .command('job', { isDefault: true })
      .description("Exchange the CI's OIDC token and start the job; `job` may be left out.")
      .argument('<command...>', 'the command and its arguments, after `--`'),
  )
    .option('--agent <id>', 'the agent, where the credential stands for several')
    .example('bulla ci job --config .github/bulla.json -- ./deploy.sh')
    .run(job);
  withHelperOptions(
    ci
      .command('step')
      .description("Inside a job: start a command with less than the job has, under a key of the step's own.")
      .argument('<command...>', 'the command and its arguments, after `--`'),
  )
    .option('--for <time>', 'how long the step is handed anything, such as 10m')
    .example('bulla ci step --only-action status -- ./smoke-test.sh')
    .run(step);
}

async function job(session: Session, given: Given): Promise<number> {
  const { env } = session.surroundings;
  const settings = readSettings(given, env, 'github');
  return runWithHelper(session, settings, given.rest(0), (value) => {
    if (env['GITHUB_ACTIONS'] === 'true') maskInActions(value);
  });
}

/** Asks the runner to hide a value in everything that later steps print, too. The runner keeps the line itself from the log. */
function maskInActions(value: string): void {
  for (const text of new Set([value, ...linesOf(value)])) {
    if (/^[\x21-\x7e]{8,}$/u.test(text)) process.stdout.write(`::add-mask::${text}\n`);
  }
}

async function step(session: Session, given: Given): Promise<number> {
  const settings = readSettings(given, session.surroundings.env, 'helper');
  return runWithHelper(session, settings, given.rest(0));
}
