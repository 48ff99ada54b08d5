import type { Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';
import { changeEndpoint, type Endpoint } from './endpoint.ts';
import { dryRunQuery, keyChangeShape, keyPath } from './shapes.ts';

/** Keys of people and agents: revoked. */
export const keyEndpoints: readonly Endpoint[] = [
  changeEndpoint(
    {
      operationId: 'revokeKey',
      path: '/keys/{jkt}/revoke',
      scope: 'keys:revoke',
      summary: 'Revoke a key of a person or an agent, for ever.',
      description: 'There is no way back: whoever held it needs a new key.',
      pathSchema: keyPath,
      querySchema: dryRunQuery,
      answer: keyChangeShape,
    },
    ({ path, query }) => ({
      target: `key/${path.jkt}`,
      dryRun: query.dry_run,
      plan: (read) =>
        keyOf(read, path.jkt).status === 'revoked' ? undefined : { type: 'key.revoke', key: path.jkt },
      answer: (read, { before: _before, ...made }) => ({ ...made, key: keyOf(read, path.jkt) }),
    }),
  ),
];

interface ApiKey {
  readonly thumbprint: string;
  readonly subject: string;
  readonly status: 'active' | 'revoked';
}

/** Keys of admins, delegates and the log have other ways to end. */
function keyOf(read: Read, thumbprint: string): ApiKey {
  const key = read(`key/${thumbprint}`);
  if (key === undefined || !key.subject.includes('/')) {
    throw new IssuerRefusal('target_unknown', 'no person or agent has this key');
  }
  return { thumbprint, subject: key.subject, status: key.status };
}
