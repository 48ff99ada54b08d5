export {
  type ApprovalClaims,
  parseApproval,
  type UnverifiedApproval,
} from '../approval/approval.ts';
export { rootHash } from '../approval/hashes.ts';
export { type ApprovalRequest, approvalRequest, type RequestForApproval } from '../approval/request.ts';
export {
  type ApprovalOptions,
  readApprovalRequest,
  type ShownApprovalRequest,
  signApproval,
} from '../approval/sign.ts';
export { decodeBase64url, encodeBase64url } from '../base64url.ts';
export { bindingOf, checkOutsideToken, checkUnboundToken, isIssuedBy } from '../federation/check.ts';
export { claimsMatch } from '../federation/claims.ts';
export { type OutsideJwk, type OutsideKey, parseOutsideJwk } from '../federation/key.ts';
export { parseOutsideToken, type UnverifiedOutsideToken } from '../federation/token.ts';
export {
  canonicalJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parseContentJson,
  parseForeignJsonObject,
  parseJson,
  parseJsonObject,
} from '../json.ts';
export { contentDigest, envelopeDigest, queryDigest } from '../proof/content.ts';
export { createProof, type ProofRequest } from '../proof/create.ts';
export { type CheckedProof, checkProof, type ProofDemands } from '../proof/dpop.ts';
export {
  createPublicOrigins,
  type PlainRequest,
  type PresentedRequest,
  type PublicOrigins,
  readPlainRequest,
  readRequest,
} from '../proof/request.ts';
export { type CheckedTokenProof, checkTokenProof, type TokenProofDemands } from '../proof/token.ts';
export {
  type Allowance,
  type AuthorizationDetail,
  narrowTo,
  parseAllowance,
  parseAuthorizationDetails,
} from './authorization.ts';
export { type BlockClaims, signBlock, signMintBlock } from './block.ts';
export { type InspectedEnvelope, inspect } from './envelope.ts';
export { type HolderClaims, holderOf, type KeyKind } from './holder.ts';
export { type JwsProfile, parseJws, signJws, type UnverifiedJws, verifyJws } from './jws.ts';
export { type RootClaims, signRoot } from './root.ts';
