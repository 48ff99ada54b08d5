import { hash } from 'node:crypto';
import { canonicalJson } from '../json.ts';

/** What of a request people approve. Members named as in proofs, with the same values. */
export interface ApprovedParts {
  readonly htm: string;
  /** Public origin and canonical path. */
  readonly htu: string;
  /** `queryDigest` of the query, of the empty one too. */
  readonly htq: string;
  /** `contentDigest` of the content, of none too. */
  readonly content_digest: string;
  /** The Content-Type field, where there is content and the field was sent. */
  readonly content_type?: string;
  /** The other fields that the proof binds; absent where there are none. */
  readonly htb?: Readonly<Record<string, string>>;
}

/** An approval's `request`: base64url SHA-256 of the RFC 8785 form of the parts. */
export function requestHash(parts: ApprovedParts): string {
  return hash('sha256', canonicalJson(parts), 'base64url');
}

/**
 * An approval's `envelope`: base64url SHA-256 of the compact text of the root block. Blocks that narrow the envelope
 * further do not change it.
 */
export function rootHash(envelope: string): string {
  return hash('sha256', rootOf(envelope), 'base64url');
}

/** Compact text of the root block. */
export function rootOf(envelope: string): string {
  const end = envelope.indexOf('~');
  return end < 0 ? envelope : envelope.slice(0, end);
}
