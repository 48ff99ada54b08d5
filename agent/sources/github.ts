import { isJsonObject } from '@bulla/verifier/envelope';
import { readUrl } from '../config.ts';
import { AgentError } from '../errors.ts';
import type { CredentialSource } from '../source.ts';
import { type AskingOptions, askForJson } from './ask.ts';
import { requireBound, requireCompact } from './compact.ts';

/** The variables that a GitHub Actions job with `permissions: id-token: write` has. Whoever reads them is the job. */
export const githubVariables = ['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'] as const;

/**
 * The OIDC token of a GitHub Actions job, asked for with the binding as its audience. The variables are read at once
 * and may be gone from `env` afterwards. https, or http on loopback; no redirects; answers of at most 64 KiB.
 *
 * Does NOT verify the token: the issuer and every API do.
 *
 * @throws {AgentError} `config_invalid` where a variable is missing or its URL is not acceptable.
 */
export function githubActions(
  env: Readonly<Record<string, string | undefined>>,
  options: AskingOptions = {},
): CredentialSource {
  const [url, token] = githubVariables.map((name) => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    throw new AgentError('config_invalid', `no \`${name}\`: the job needs \`permissions: id-token: write\``);
  });
  const endpoint = readUrl(url ?? '', githubVariables[0]);
  return {
    subjectToken: async (binding) => {
      const asked = new URL(endpoint);
      asked.searchParams.set('audience', binding);
      const headers = { accept: 'application/json', authorization: `Bearer ${token}` };
      const answer = await askForJson(asked, { headers }, options);
      const value = isJsonObject(answer) ? answer['value'] : undefined;
      return { token: requireBound(requireCompact(value), binding), type: 'jwt' };
    },
  };
}
