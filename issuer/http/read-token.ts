import { createHash, timingSafeEqual } from 'node:crypto';
import type { AccountConfig } from '../config.ts';
import { IssuerRefusal } from '../errors.ts';

const bearer = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/iu;

/** Names the reader whose token this is. */
export type ReadTokens = (authorization: string | undefined) => string;

/**
 * Checks `Authorization: Bearer <read token>` against the configured hashes. Every hash is compared, each in constant
 * time, so that the answer's timing says nothing about them.
 *
 * The returned function throws {@link IssuerRefusal} `read_token_wrong`.
 */
export function createReadTokens(tokens: AccountConfig['readTokens']): ReadTokens {
  const known = tokens.map(({ name, sha256 }) => ({ name, hash: Buffer.from(sha256, 'base64url') }));
  return (authorization) => {
    const token = bearer.exec(authorization ?? '')?.[1] ?? '';
    const hash = createHash('sha256').update(token).digest();
    let reader: string | undefined;
    for (const candidate of known) {
      if (timingSafeEqual(candidate.hash, hash)) reader = candidate.name;
    }
    if (reader === undefined || token === '') {
      throw new IssuerRefusal('read_token_wrong', 'read token is missing or unknown');
    }
    return reader;
  };
}
