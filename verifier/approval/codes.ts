/** Refusals of approvals. One part of the table in errors.ts, which says what a row means. */
export const approvalCodes = {
  // approvals
  approvals_too_large: {
    status: 400,
    meaning: '`Bulla-Approval` holds more than `maxApprovals` approvals or `maxApprovalsBytes` bytes',
  },
  approvals_not_taken: {
    status: 400,
    meaning: 'request carries approvals, and the schema declares none for this action',
  },
  approval_malformed: {
    status: 400,
    meaning:
      'approval is not a strict `bulla-approval+jwt`, or has an unknown, missing or wrongly typed claim',
  },
  approval_request_invalid: {
    status: 400,
    meaning: 'what an approver was sent is malformed, or its hashes are not of what it shows',
  },
  approval_account_mismatch: {
    status: 403,
    meaning: 'approval stands on another trust log',
  },
  approval_request_mismatch: { status: 403, meaning: 'approval is of another request' },
  approval_envelope_mismatch: {
    status: 403,
    meaning: 'approval is for another envelope than the one sent: other root block',
  },
  approval_time: {
    status: 403,
    meaning: 'approval has expired, is from the future, or lives longer than `maxApprovalLifetimeSeconds`',
  },
  approval_signature_invalid: {
    status: 403,
    meaning: "approval is not signed by the approver's key",
  },
  approver_not_active: {
    status: 403,
    meaning: "approver's key is not in the log or is revoked, or the person is not active",
  },
  approver_not_person: {
    status: 403,
    meaning: "approver's key is an agent's or the service's, not a person's",
  },
  approver_not_independent: {
    status: 403,
    meaning:
      'approver acts in this request: is the person, holds the envelope, or owns an agent it passed through',
  },
  approval_replayed: { status: 403, meaning: 'approval was used before' },
  approval_too_old: {
    status: 403,
    meaning: 'approval was signed before the replay store can tell it from one used before',
  },
  approval_quota_reached: {
    status: 429,
    meaning: 'this key has used more approvals than the replay store keeps for one key',
  },
} as const;
