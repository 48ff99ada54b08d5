import type { BullaCommand } from '../command.ts';
import { fingerprintLines, fingerprintWords } from '../fingerprint.ts';
import { show } from './person.ts';

export function registerMe(program: BullaCommand): void {
  program
    .command('me')
    .description(
      'Show who you are in the account: status, groups, agents, and your key as words to read aloud.',
    )
    .example('bulla me')
    .run(async (session) => {
      const { id, key } = session.person;
      const thumbprint = session.keys.thumbprint(key);
      await session.reading((ledger) => {
        const fingerprint = fingerprintWords(thumbprint).join(' ');
        show(session, ledger, id, { key: thumbprint, fingerprint }, [
          `your key here, \`${key}\`, in words:`,
          ...fingerprintLines(thumbprint),
        ]);
      });
    });
}
