import { hash } from 'node:crypto';

/**
 * The value of a `Content-Digest` field (RFC 9530) over the content as sent: `sha-256=:<base64>:`. This one form is
 * what a proof's `content_digest` holds.
 */
export function contentDigest(content: Uint8Array): string {
  return `sha-256=:${hash('sha256', content, 'base64')}:`;
}

/**
 * A proof's `htq`: base64url SHA-256 of the `@query` component (RFC 9421 section 2.2.7), that is of `?` and the raw
 * query, neither decoded nor reordered. An absent query counts as `?`.
 */
export function queryDigest(query: string): string {
  return hash('sha256', `?${query}`, 'base64url');
}

/** A proof's `ath` (RFC 9449 section 4.2): base64url SHA-256 of the envelope as sent. */
export function envelopeDigest(envelope: string): string {
  return hash('sha256', envelope, 'base64url');
}
