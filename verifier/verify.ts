import type { Access, RouteOptions, WireRequest } from './access.ts';
import { checkApprovals, requireApprovers } from './approval/check.ts';
import { createSignatureCache, type SignedEnvelope } from './envelope/signatures.ts';
import { Refusal } from './errors.ts';
import { createGrant, type Grant } from './grant.ts';
import { createKeyring } from './keyring.ts';
import { limits } from './limits.ts';
import { audienceKey } from './log/records.ts';
import { findParties, type Parties, requireVouched } from './parties.ts';
import { type Clearance, createClearance, type Verdict } from './policy/clear.ts';
import { systemPorts } from './ports.ts';
import { type CheckedProof, checkProof } from './proof/dpop.ts';
import { createNonces, type Nonces } from './proof/nonce.ts';
import { type ApprovalUse, claimUse } from './proof/replay.ts';
import { createPublicOrigins, readRequest } from './proof/request.ts';
import { type Attempt, type Outcome, type Receipt, writeReceipt } from './receipt.ts';
import {
  type AudienceStanding,
  type Here,
  readHere,
  requireCurrentPolicy,
  requireFresh,
  requireHereAndNow,
  requireMintLease,
  requireNotRevoked,
} from './standing.ts';
import type { Decision, Verifier, VerifierOptions } from './verifier.ts';

/**
 * Makes the verifier of one API. Starts nothing and fetches nothing: the follower whose `trust` it reads does.
 *
 * @throws {TypeError} when the options cannot work: a foreign trust view, a malformed origin, a size out of range.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  return new LocalVerifier(options);
}

const cachedEnvelopes = 16_384;
const cachedEnvelopeBytes = 16_777_216;
const cachedKeys = 65_536;
const largest = limits.maxRaisedEnvelopeBytes;

class LocalVerifier implements Verifier {
  readonly #options: VerifierOptions;
  readonly #maxEnvelopeBytes: number;
  readonly #audience: `audience/${string}`;
  readonly #origins: ReturnType<typeof createPublicOrigins>;
  readonly #keyOf: ReturnType<typeof createKeyring>;
  readonly #signatures = createSignatureCache(cachedEnvelopes, cachedEnvelopeBytes);
  readonly #clearance: Clearance;
  readonly nonces: Nonces;
  #latest = 0;

  constructor(options: VerifierOptions) {
    if (options.trust.account !== options.account) {
      throw new TypeError('`trust` follows another account than the verifier was told to believe');
    }
    const { maxEnvelopeBytes = limits.maxEnvelopeBytes } = options;
    if (!(Number.isInteger(maxEnvelopeBytes) && 0 < maxEnvelopeBytes && maxEnvelopeBytes <= largest)) {
      throw new TypeError(`\`maxEnvelopeBytes\` is not an integer from 1 to ${String(largest)}`);
    }
    this.#options = options;
    this.#maxEnvelopeBytes = maxEnvelopeBytes;
    this.#audience = audienceKey(options.audience);
    this.#origins = createPublicOrigins(options.publicOrigins);
    this.#keyOf = createKeyring(options.trust, cachedKeys);
    this.#clearance = createClearance(options.trust);
    this.nonces = createNonces({ now: () => this.#now() });
  }

  async decide(wire: WireRequest, access: Access, route: RouteOptions = {}): Promise<Decision> {
    const attempt: Attempt = { wire, access, route, now: this.#latest };
    try {
      attempt.now = this.#now();
      const verdict = await this.#steps(attempt);
      const { allowed, reasons } = verdict;
      if (!allowed) return { ...verdict, receipt: this.#record(attempt, { outcome: 'deny', reasons }) };
      const grant = grantOf(attempt);
      return { allowed, grant, receipt: this.#record(attempt, { outcome: 'allow', reasons }) };
    } catch (error) {
      const refusal =
        error instanceof Refusal
          ? error
          : new Refusal('internal_error', 'decision failed inside the verifier', { cause: error });
      if (refusal.code !== 'receipt_failed') {
        this.#record(attempt, { outcome: 'refuse', code: refusal.code, reasons: [] });
      }
      throw refusal;
    }
  }

  /**
   * The whole decision, in the order of docs/spec/envelope.md section 5. Cheap refusals come before expensive ones, and
   * what the caller could learn about others comes after the signatures. Each step lists every code it refuses with.
   *
   * @returns the policy's answer; everything else that can go wrong is thrown.
   */
  async #steps(attempt: Attempt): Promise<Verdict> {
    const { wire, access, route, now } = attempt;
    const { trust, replay } = this.#options;

    // 1. The request has one reading, and carries one envelope and one proof.
    //    `request_method_refused`, `request_target_invalid`, `request_field_repeated`, `request_field_refused`,
    //    `request_host_wrong`, `request_encoding_refused`, `authorization_malformed`, `envelope_missing`,
    //    `envelope_too_large`, `proof_missing`, `proof_too_large`, `approvals_too_large`
    const request = readRequest(wire, this.#origins, this.#maxEnvelopeBytes);
    attempt.request = request;

    // 2. This API is registered, has a policy, and our knowledge is fresh.
    //    `audience_not_active`, `policy_retired`, `trust_stale`
    const here = readHere(trust, this.#audience, route, now);

    // 3. The envelope has its exact form, each block takes away and is signed by the key before it (or the mint, for the
    //    same holder). The mint's key is in the log, whatever its standing; so is the first holder's, or the root carries
    //    it and, where it is federated, an outside token that the outside key signed.
    //    `envelope_malformed`, `envelope_claim_invalid`, `envelope_link_wrong`, `envelope_widened`, `narrow_too_large`,
    //    `jws_malformed`, `jws_header_invalid`, `jws_type_wrong`, `encoding_invalid`, `json_invalid`, `key_invalid`,
    //    `envelope_signature_invalid`, `mint_not_trusted`, `holder_key_not_live`, `federation_token_invalid`
    const envelope = this.#signatures.open(request.envelope, request.envelopeDigest, this.#keyOf);
    attempt.envelope = envelope;

    // 4. to 8. The envelope is in force now: requireInForce, below, has the steps and their codes. A key that the mint alone
    //    vouches for does what admins listed for its agent, and nothing else.
    //    `action_not_vouched`
    attempt.parties = requireInForce(this.#options, envelope, { ...here, now });
    requireVouched(envelope, attempt.parties, access.action);

    // 9. The last holder proves this exact request.
    //    `proof_malformed`, `proof_time`, `proof_method_mismatch`, `proof_target_mismatch`, `proof_query_mismatch`,
    //    `proof_header_mismatch`, `proof_header_unbound`, `proof_envelope_mismatch`, `proof_nonce_wrong`,
    //    `proof_key_mismatch`, `proof_algorithm_wrong`, `proof_signature_invalid`, `proof_content_mismatch`,
    //    `request_field_repeated` (a field that is bound, sent twice)
    const proof = checkProof(request, { holder: envelope.holder, now, route, nonces: this.nonces });
    attempt.proof = proof;

    // 10. Every approval that came along is taken by this action, is of this exact request under this envelope's root, and is
    //     signed by a person who is active and takes no part in it.
    //     `approvals_not_taken`, `approval_malformed`, `approval_account_mismatch`, `approval_request_mismatch`,
    //     `approval_envelope_mismatch`, `approval_time`, `approval_signature_invalid`, `approver_not_active`,
    //     `approver_not_person`, `approver_not_independent`, and the codes of step 14 that are about the policy set
    const approvals = this.#checkApprovals(attempt, here.standing, proof);

    // 11. Neither the proof nor any of the approvals was used before: claimed in one step, all or none.
    //     `proof_replayed`, `proof_time`, `proof_nonce_required`, `replay_quota_reached`, `replay_store_full`,
    //     `replay_store_unavailable`, `approval_replayed`, `approval_too_old`, `approval_quota_reached`
    await claimUse(replay, approvals.length === 0 ? proof : { ...proof, approvals }, now);

    // 12. The route says what is asked for.
    //     `route_input_invalid`, or any refusal that the route's own code throws; anything else it throws is `internal_error`
    const resource = await access.resource();
    const context = await access.context?.();
    attempt.resource = resource;

    // 13. Steps 2 and 4 to 8 once more, and who approved: what was taken away while store and route were asked is not given.
    //     The codes of those steps
    const answered = this.#now();
    const { standing, staleness } = readHere(trust, this.#audience, route, answered);
    attempt.parties = requireInForce(this.#options, envelope, { standing, staleness, now: answered });
    requireVouched(envelope, attempt.parties, access.action);
    attempt.approvers = requireApprovers(trust, approvals, attempt.parties, answered);

    // 14. The admins' policy allows (people who stand on a delegate's word alone: by a permit that says so), and no limit of a
    //     block, an agent or the route forbids: this is returned, not thrown.
    //     What has no clean answer is thrown: `policy_unavailable`, `policy_set_too_large`, `policy_invalid`,
    //     `policy_too_deep`, `policy_not_valid`, `policy_quarantined`, `policy_error`, `narrow_too_large`,
    //     `narrow_not_forbid`, `json_invalid`, `action_unknown`, `value_invalid`, `entity_missing`, `entity_invalid`,
    //     `request_not_in_schema`, `rule_groups_too_many`, `engine_failed`
    return this.#clearance.clear({
      envelope,
      parties: attempt.parties,
      approvers: attempt.approvers,
      standing,
      request,
      proof,
      action: access.action,
      resource,
      context,
      route,
      now: answered,
    });
  }

  /** Step 10. The approvers' standing is looked up here for the sake of those who are not: nothing is spent on their account. */
  #checkApprovals(
    { request, parties, access, now }: Attempt,
    standing: AudienceStanding,
    proof: CheckedProof,
  ): readonly ApprovalUse[] {
    if (request === undefined || parties === undefined || request.approvals.length === 0) return [];
    if (!this.#clearance.takesApprovals(standing, access.action)) {
      throw new Refusal('approvals_not_taken', 'no approvals are declared for this action');
    }
    const { account, trust } = this.#options;
    const approvals = checkApprovals(request, { account, proof, keyOf: this.#keyOf, now });
    requireApprovers(trust, approvals, parties, now);
    return approvals;
  }

  /**
   * Unix seconds, never going back: what has expired stays expired when the clock is set (law 7).
   *
   * @throws {Refusal} `internal_error` for what is no time: NaN compares as false with every limit.
   */
  #now(): number {
    const now = (this.#options.ports ?? systemPorts).now();
    if (!Number.isFinite(now)) throw new Refusal('internal_error', 'clock does not tell the time');
    this.#latest = Math.max(this.#latest, now);
    return this.#latest;
  }

  #record(attempt: Attempt, outcome: Outcome): Receipt {
    try {
      const receipt = writeReceipt(this.#options, attempt, outcome);
      this.#options.onReceipt?.(receipt);
      return receipt;
    } catch (cause) {
      throw new Refusal('receipt_failed', 'receipt could not be handed over', { cause });
    }
  }
}

/**
 * Steps 4 to 8, for an envelope whose signatures hold. Look-ups in memory and nothing else, so that they can be made twice.
 *
 * @internal
 */
export function requireInForce(
  { trust, audience }: Pick<VerifierOptions, 'trust' | 'audience'>,
  envelope: SignedEnvelope,
  { standing, staleness, now }: Here & { readonly now: number },
): Parties {
  // 4. It is for this account, this API and now, and our knowledge is as fresh as the envelope itself demands.
  //    `account_mismatch`, `audience_mismatch`, `envelope_not_yet_valid`, `envelope_expired`, `trust_stale`
  requireHereAndNow(envelope, { account: trust.account, audience }, now);
  requireFresh(trust, now, envelope.root.staleness ?? staleness);

  // 5. Its mint key holds a lease in force that covers its audiences and its life.
  //    `mint_not_trusted`, `mint_lifetime_exceeded`
  requireMintLease(trust, envelope, now);

  // 6. Person, agent and every holder in the log are active now, in the epochs of minting, each with a key of their own.
  //    A first holder in no log stands on a trust in an outside issuer that is in force for this agent, whose token names
  //    this very key and was fresh at minting; or on the mint's word.
  //    `subject_not_active`, `agent_not_active`, `holder_key_not_live`, `federation_not_trusted`,
  //    `federation_claims_mismatch`, `federation_not_bound`, `federation_time`
  const parties = findParties(trust, envelope);

  // 7. It was not revoked.
  //    `envelope_revoked`
  requireNotRevoked(trust, envelope);

  // 8. It was minted under the policy set that is current, or the one before while they overlap.
  //    `policy_superseded`
  requireCurrentPolicy(envelope, standing);
  return parties;
}

function grantOf({ envelope, parties, proof, access, approvers }: Attempt): Grant {
  if (envelope === undefined || parties === undefined || proof === undefined) {
    throw new Refusal('internal_error', 'a step was skipped');
  }
  return createGrant(envelope, parties, access.action, proof.boundHeaders, approvers ?? []);
}
