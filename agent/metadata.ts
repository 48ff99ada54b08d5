import { isJsonObject } from '@bulla/verifier/envelope';
import { type AgentConfig, readUrl } from './config.ts';
import { AgentError } from './errors.ts';
import { readAnswer } from './http.ts';

/** RFC 8414 section 3.1: the well-known part goes between host and path. */
function metadataUrl(issuer: string): URL {
  const url = new URL(issuer);
  const path = url.pathname === '/' ? '' : url.pathname;
  return new URL(`/.well-known/oauth-authorization-server${path}`, url.origin);
}

/**
 * Asks the issuer where its token endpoint is (RFC 8414).
 *
 * @throws {AgentError} `issuer_unreachable`, `issuer_metadata_invalid`.
 */
export async function discoverTokenEndpoint(config: AgentConfig): Promise<URL> {
  const answer = await readAnswer(config, metadataUrl(config.issuer), {
    headers: { accept: 'application/json' },
  });
  const { body, status } = answer;
  if (status !== 200 || !isJsonObject(body)) {
    throw new AgentError('issuer_metadata_invalid', 'no authorization-server metadata at the issuer', {
      status,
    });
  }
  // RFC 8414 section 3.3: otherwise one issuer could speak for another.
  if (body['issuer'] !== config.issuer) {
    throw new AgentError('issuer_metadata_invalid', 'metadata names another issuer than the one configured');
  }
  const endpoint = body['token_endpoint'];
  if (typeof endpoint !== 'string')
    throw new AgentError('issuer_metadata_invalid', 'metadata has no `token_endpoint`');
  try {
    return readUrl(endpoint, 'token_endpoint');
  } catch (cause) {
    throw new AgentError('issuer_metadata_invalid', '`token_endpoint` is not an acceptable URL', { cause });
  }
}
