import { readClaims } from '../envelope/claims.ts';
import { parseJws, type UnverifiedJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';

/** What an approval says: docs/spec/approval.md section 2. Times in Unix seconds. */
export interface ApprovalClaims {
  readonly account: string;
  readonly request: string;
  readonly envelope: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
}

/** An approval whose form was checked. Its signature was not, and nobody was asked whose key it is. */
export interface UnverifiedApproval {
  readonly jws: UnverifiedJws;
  /** Thumbprint of the key that is said to have signed. */
  readonly keyThumbprint: string;
  readonly claims: ApprovalClaims;
}

export const approvalType = 'bulla-approval+jwt';
const profile = { typ: approvalType, members: ['kid'] } as const;
const digest = /^[A-Za-z0-9_-]{43}$/u;
const time = { min: 0, max: Number.MAX_SAFE_INTEGER } as const;

/** Parses one approval strictly. The caller bounds its size. @throws {Refusal} `approval_malformed`. */
export function parseApproval(text: string): UnverifiedApproval {
  try {
    const jws = parseJws(text, profile);
    const keyThumbprint = requireDigest(jws.header['kid'], 'kid');
    return { jws, keyThumbprint, claims: claimsOf(jws) };
  } catch (cause) {
    if (!(cause instanceof Refusal) || cause.code === 'approval_malformed') throw cause;
    throw new Refusal('approval_malformed', `approval: ${cause.message}`, { cause });
  }
}

function claimsOf(jws: UnverifiedJws): ApprovalClaims {
  const given = readClaims(jws.payload);
  const claims = {
    account: given.string('account'),
    request: requireDigest(given.raw('request'), 'request'),
    envelope: requireDigest(given.raw('envelope'), 'envelope'),
    jti: given.string('jti', limits.maxJtiBytes),
    iat: given.integer('iat', time),
    exp: given.integer('exp', time),
  };
  given.finish();
  if (Buffer.byteLength(claims.jti) > limits.maxJtiBytes) {
    throw new Refusal('approval_malformed', '`jti` is too long');
  }
  return claims;
}

function requireDigest(value: unknown, name: string): string {
  if (typeof value === 'string' && digest.test(value)) return value;
  throw new Refusal('approval_malformed', `\`${name}\` is not a base64url SHA-256`);
}
