/** Every cap in one place, each with its reason. Sizes in bytes, times in seconds. */
export const limits = {
  /** `Authorization` must fit Node's 16 KiB for all headers together with the proof and what a browser or proxy adds. */
  maxEnvelopeBytes: 7168,
  /** As far as one API may raise it (`VerifierOptions.maxEnvelopeBytes`): with a proof still within Node's 16 KiB. */
  maxRaisedEnvelopeBytes: 12_288,
  /** Root and 16 further blocks; each costs at most one signature verification. */
  maxBlocks: 17,
  /** A DPoP proof with a P-256 key, all claims and bound headers is under 2 KiB. */
  maxProofBytes: 4096,
  /** A `jti` is stored hashed, but arrives whole. */
  maxJtiBytes: 128,
  /** Approvals in one request: more people than any policy will ask for; each costs a signature verification. */
  maxApprovals: 8,
  /** `Bulla-Approval`: eight approvals of about 600 bytes, in the 16 KiB that Node gives all fields. */
  maxApprovalsBytes: 6144,
  /** A person approves what is asked now; each approval is remembered until it has expired. */
  maxApprovalLifetimeSeconds: 3600,
  /** JSON.parse and our own walkers recurse. */
  maxJsonDepth: 64,
  /** cedar-wasm refuses EST deeper than about 60; a policy written by a person stays under 24. */
  maxPolicyDepth: 24,
  maxNarrowPoliciesPerBlock: 64,
  maxNarrowBytesPerBlock: 16_384,
  maxNarrowPoliciesPerEnvelope: 256,
  /** `authorization_details`: four details of these sizes become one policy under `maxPolicyDepth`. */
  maxAuthorizationDetails: 4,
  maxAuthorizationItems: 64,
  /** Types among the resources of one detail: each power of two deepens the `forbid` by a level. */
  maxAuthorizationTypes: 4,
  maxAuthorizationLimits: 4,
  /** Preparsing costs about 140 µs a policy. */
  maxPoliciesPerSet: 1000,
  maxPolicySetBytes: 2_097_152,
  /** Common types written out wherever they are used: ten that each name the one before eight times are 10^9. */
  maxSchemaTypes: 65_536,
  /** An annotation is shown to people; this is a sentence or two. */
  maxAnnotationLength: 500,
  /** Names under which cedar-wasm holds preparsed slices and schemas: it never forgets one, so they are reused. */
  maxPreparsed: 512,
  maxLoadedSets: 64,
  maxCachedNarrows: 4096,
  /** Answers of Cedar to questions of at most 2 KiB. */
  maxRememberedAnswers: 4096,
  maxQuarantined: 4096,
  maxEntityIdLength: 512,
  /** About 2 µs each to marshal. */
  maxPrincipalGroups: 256,
  maxSetElements: 1024,
  /** Cedar's marshalling costs about 22 µs an entity. */
  maxEntities: 64,
  /** A chain of 3,000 ancestors took cedar-wasm 7 s. */
  maxAncestors: 16,
  /** One leaf of the trust log: the C2SP tile format stores its length in 16 bits. */
  maxLeafBytes: 65_535,
  maxLeafSignatures: 16,
  /**
   * Leaves that break a rule between two checkpoints that a follower applies. An issuer refuses such leaves; whoever holds
   * the log key could fill a follower's memory with them.
   */
  maxRefusedLeaves: 10_000,
  /** Genesis carries a signature of every admin key and of the log key. */
  maxAdmins: 15,
  /** A JWKS holds the key in use, the next and some that are going. */
  maxOutsideKeys: 16,
  maxClaimDemands: 16,
  maxVouchedActions: 64,
  /** Each of those who recover a key signs the request: with new key and old ones within `maxLeafSignatures`. */
  maxRecoveryPeople: 14,
  /** A GitHub token is about 1.6 KiB; it travels in the root block, encoded twice. */
  maxOutsideTokenBytes: 4096,
  /** How long before minting an outside token may have been issued. */
  maxOutsideTokenAgeSeconds: 600,
  /** Life of an outside token that is bound to no key: a day is what identity providers give machines by default. */
  maxUnboundTokenLifeSeconds: 86_400,
  /** How long before its end an outside token without `iat` is accepted (SPIFFE). */
  maxOutsideTokenLifeSeconds: 3600,
  /** How far the clock of an outside issuer may be ahead of ours. */
  outsideClockSkewSeconds: 30,
  /** Cost of an RSA signature grows with its key: 4,096 bits take some 100 µs. */
  minRsaBits: 2048,
  maxRsaBits: 4096,
  /** Links from a key to the key that added it; walked on each request. */
  maxKeyChain: 16,
  /** Resume and recover rewrite every key of their subject. */
  maxKeysPerSubject: 16,
  /** An answer about `maxKeysPerSubject` keys, each at the end of a chain, with its proofs. */
  maxKeyAnswerBytes: 1_048_576,
  /** One stolen key cannot fill the log with agents. */
  maxAgentsPerOwner: 64,
  maxAttributes: 32,
  /** As many as a company has, with room for those it bought. */
  maxLeaseDomains: 64,
  /** One for each IdP that employees of a company come from. */
  maxLeaseLogins: 16,
  maxAttributesBytes: 4096,
  /** A signed request that nobody wraps dies by itself. */
  maxRequestLifetimeSeconds: 604_800,
  /** Longest lease of a delegate while the account has no witness quorum. */
  maxLeaseSeconds: 604_800,
  defaultLeaseSeconds: 86_400,
  /** Longest life of an envelope, whatever a lease says. */
  maxEnvelopeLifetimeSeconds: 3600,
  proofWindowSeconds: 60,
  clockSkewSeconds: 5,
  defaultStalenessSeconds: 60,
  maxStalenessSeconds: 86_400,
  /** Request bodies are held in memory while their digest is checked. */
  defaultMaxBodyBytes: 1_048_576,
  /** For the whole content: whoever sends a byte a minute holds a connection and its buffers. */
  defaultContentSeconds: 60,
  /** A checkpoint with 16 Ed25519 signatures is about 4 KiB; a post-quantum signature is nearly 5 KB. */
  maxNoteBytes: 16_384,
  maxNoteSignatures: 16,
  /** Two keys share 64 bits of SHA-256 only where someone ground for it; that key's proofs are refused, no others. */
  maxStateProofSiblings: 64,
  maxEntriesPerAnswer: 1000,
  /** 1000 leaves of ordinary size are about 1 MiB; a server ends an answer early rather than pass this. */
  maxLogAnswerBytes: 16_777_216,
} as const;
