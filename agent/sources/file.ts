import { open } from 'node:fs/promises';
import { AgentError } from '../errors.ts';
import type { CredentialSource, SubjectTokenType } from '../source.ts';
import { requireBound, requireCompact } from './compact.ts';

const maxFileBytes = 65_536;

/**
 * A token that something else keeps fresh in a file. Read again for every exchange; white space around it is dropped.
 *
 * Does NOT look at the file's mode, nor verify the token.
 */
export function tokenFile(path: string, type: SubjectTokenType): CredentialSource {
  return { subjectToken: async () => ({ token: requireCompact(await readText(path)), type }) };
}

/**
 * A SPIFFE JWT-SVID in a file, as `spiffe-helper` writes it. Its audience is fixed in that program's configuration, so the
 * agent needs a holder key that stays (`createAgent({ source, key })`); with an ephemeral one use `spiffeCommand`.
 */
export function spiffeFile(path: string): CredentialSource {
  return {
    subjectToken: async (binding) => ({
      token: requireBound(requireCompact(await readText(path)), binding),
      type: 'jwt',
    }),
  };
}

async function readText(path: string): Promise<string> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch {
    throw new AgentError('source_unavailable', `the file \`${path}\` cannot be read`);
  }
  try {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(maxFileBytes) });
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}
