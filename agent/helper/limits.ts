import { limits } from '@bulla/verifier';

/** Caps of a helper, each with its reason. Sizes in bytes, times in seconds. */
export const helperLimits = {
  /** A body is held in memory while its digest is made; an API holds as much by default. */
  maxBodyBytes: limits.defaultMaxBodyBytes as number,
  /** Questions to the helper itself: a request to prove with a body in base64url, a key with what it is for. */
  maxQuestionBytes: 1_572_864,
  /** Problem documents are looked into for a code that a new envelope or nonce cures. */
  maxProblemBytes: 16_384,
  /** With bodies of the largest size this is 64 MiB. */
  maxConnections: 64,
  /** A child that sends its body slower than this is cut off. */
  requestSeconds: 60,
} as const;
