import { verifyJws } from '../envelope/jws.ts';
import { Refusal } from '../errors.ts';
import type { PublicKey } from '../keys.ts';
import { limits } from '../limits.ts';
import { liveKey } from '../log/standing.ts';
import type { TrustView } from '../log/view.ts';
import type { Parties } from '../parties.ts';
import { contentDigest, queryDigest } from '../proof/content.ts';
import type { CheckedProof } from '../proof/dpop.ts';
import type { ApprovalUse } from '../proof/replay.ts';
import type { PresentedRequest } from '../proof/request.ts';
import { type ApprovalClaims, parseApproval, type UnverifiedApproval } from './approval.ts';
import { type ApprovedParts, requestHash, rootHash } from './hashes.ts';

/** What approvals are held against, beside the request itself. */
interface ApprovalDemands {
  readonly account: string;
  /** The proof that came with them, checked: it says which origin the request is for, and which fields are bound. */
  readonly proof: CheckedProof;
  readonly keyOf: (thumbprint: string) => PublicKey | undefined;
  /** Unix seconds. */
  readonly now: number;
}

/**
 * Checks that every approval of a request is of this request, under this envelope's root, in force, and signed by the key it
 * names. One that is not refuses the request: none is left out silently. Cheap comparisons first.
 *
 * Does NOT ask whose keys these are (`requireApprovers` does, each time anew), and does NOT remember the approvals: they
 * are claimed with the proof. docs/spec/approval.md section 4.
 *
 * @throws {Refusal} `approval_malformed`, `approval_account_mismatch`, `approval_request_mismatch`,
 *   `approval_envelope_mismatch`, `approval_time`, `approver_not_active` (a key in no log), `approval_signature_invalid`.
 */
export function checkApprovals(request: PresentedRequest, demands: ApprovalDemands): readonly ApprovalUse[] {
  const expected = {
    request: requestHash(partsOf(request, demands.proof)),
    envelope: rootHash(request.envelope),
  };
  return request.approvals.map((text) => {
    const approval = parseApproval(text);
    const { claims, keyThumbprint } = approval;
    requireSame(claims, { account: demands.account, ...expected });
    requireTime(claims, demands.now);
    requireSignature(approval, demands.keyOf(keyThumbprint));
    return { keyThumbprint, jti: claims.jti, issuedAt: claims.iat, expiresAt: claims.exp };
  });
}

/** What an approval of this request has to name, for people to be asked. */
export function partsOf(request: PresentedRequest, proof: CheckedProof): ApprovedParts {
  const type = request.body.length > 0 ? request.header('content-type') : undefined;
  const bound: [string, string][] = [];
  for (const name of proof.boundHeaders) {
    const value = name === 'content-type' ? undefined : request.header(name);
    if (value !== undefined) bound.push([name, value]);
  }
  return {
    htm: request.method,
    htu: proof.origin + request.path,
    htq: queryDigest(request.query),
    content_digest: contentDigest(request.body),
    ...(type !== undefined && { content_type: type }),
    ...(bound.length > 0 && { htb: Object.fromEntries(bound) }),
  };
}

/**
 * Who approved: each key is live now and a person's who has no part in the request. Look-ups in memory and nothing else, so that
 * they can be made twice. A person counts once, however many of their keys signed.
 *
 * @returns ids of distinct people, in the order of the approvals.
 * @throws {Refusal} `approval_time`, `approver_not_active`, `approver_not_person`, `approver_not_independent`.
 */
export function requireApprovers(
  trust: TrustView,
  approvals: readonly ApprovalUse[],
  parties: Parties,
  now: number,
): readonly string[] {
  if (approvals.length === 0) return none;
  // Whoever holds the envelope, and whoever can tell an agent of the chain what to do, would approve their own request.
  const acting = new Set([...parties.actors, ...parties.agents.map(({ record }) => record.owner)]);
  const people = new Set<string>();
  for (const { keyThumbprint, issuedAt, expiresAt } of approvals) {
    if (expiresAt <= now) throw new Refusal('approval_time', 'an approval has expired');
    const person = personOf(trust, keyThumbprint);
    const { renewedAt } = trust.read(`principal/${person}`) ?? {};
    // Law 7: what somebody approved before they were suspended, or left the group, does not come back with them.
    if (renewedAt !== undefined && issuedAt < renewedAt) {
      throw new Refusal(
        'approver_not_active',
        'an approver was suspended or left a group since they approved',
      );
    }
    if (acting.has(person)) {
      throw new Refusal('approver_not_independent', 'an approver takes part in this request');
    }
    people.add(person);
  }
  return [...people];
}

const none: readonly string[] = [];
const personPrefix = 'principal/';

function personOf(trust: TrustView, thumbprint: string): string {
  const record = trust.read(`key/${thumbprint}`);
  if (record !== undefined && !record.subject.startsWith(personPrefix)) {
    throw new Refusal('approver_not_person', "an approver's key is not a person's");
  }
  const live = liveKey(trust.read, thumbprint);
  if (live === undefined || trust.stopped(`key/${thumbprint}`) || trust.stopped(live.subject)) {
    throw new Refusal('approver_not_active', "an approver's key or person is not active");
  }
  return live.subject.slice(personPrefix.length);
}

function requireSame(
  claims: ApprovalClaims,
  expected: Pick<ApprovalClaims, 'account' | 'request' | 'envelope'>,
): void {
  if (claims.account !== expected.account) {
    throw new Refusal('approval_account_mismatch', 'an approval stands on another trust log');
  }
  if (claims.request !== expected.request) {
    throw new Refusal('approval_request_mismatch', 'an approval is of another request');
  }
  if (claims.envelope !== expected.envelope) {
    throw new Refusal('approval_envelope_mismatch', 'an approval is for another envelope');
  }
}

function requireTime({ iat, exp }: ApprovalClaims, now: number): void {
  if (exp <= iat || exp - iat > limits.maxApprovalLifetimeSeconds) {
    throw new Refusal('approval_time', 'an approval does not live for 1 to 3600 s');
  }
  if (iat > now + limits.clockSkewSeconds)
    throw new Refusal('approval_time', 'an approval is from the future');
  if (exp <= now) throw new Refusal('approval_time', 'an approval has expired');
}

function requireSignature({ jws }: UnverifiedApproval, key: PublicKey | undefined): void {
  if (key === undefined)
    throw new Refusal('approver_not_active', "an approver's key is not in the trust log");
  try {
    verifyJws(jws, key);
  } catch (cause) {
    throw new Refusal('approval_signature_invalid', 'an approval is not signed by the key it names', {
      cause,
    });
  }
}
