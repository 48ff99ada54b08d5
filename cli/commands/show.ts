import type { BullaCommand } from '../command.ts';
import { show } from './token.ts';

export function registerShow(program: BullaCommand): void {
  program
    .command('show')
    .description('Show any envelope as a person can read it, limits as Cedar text. Nothing is verified.')
    .argument('<envelope>', 'a file, or - for stdin')
    .example('bulla show envelope.txt')
    .run(show);
}
