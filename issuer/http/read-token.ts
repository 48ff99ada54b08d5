import { createHash, timingSafeEqual } from 'node:crypto';
import type { AccountConfig } from '../config.ts';
import { IssuerRefusal } from '../errors.ts';

const bearer = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/iu;

/** Lets a reader pass. @throws {IssuerRefusal} `read_token_wrong`. */
export type RequireReader = (authorization: string | undefined) => void;

/**
 * Checks `Authorization: Bearer <read token>` against the configured hashes. Every hash is compared, each in constant
 * time, so that the answer's timing says nothing about them.
 */
export function createReaderCheck(tokens: AccountConfig['readTokens']): RequireReader {
  const known = tokens.map(({ sha256 }) => Buffer.from(sha256, 'base64url'));
  return (authorization) => {
    const token = bearer.exec(authorization ?? '')?.[1] ?? '';
    const hash = createHash('sha256').update(token).digest();
    const matches = known.filter((candidate) => timingSafeEqual(candidate, hash));
    if (matches.length === 0 || token === '') {
      throw new IssuerRefusal('read_token_wrong', 'read token is missing or unknown');
    }
  };
}
