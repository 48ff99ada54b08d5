export { decodeBase64url, encodeBase64url } from '../base64url.ts';
export {
  canonicalJson,
  isJsonObject,
  type Json,
  type JsonObject,
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
export { checkTokenProof, type TokenProofDemands } from '../proof/token.ts';
export { type AuthorizationDetail, narrowTo, parseAuthorizationDetails } from './authorization.ts';
export { type BlockClaims, signBlock } from './block.ts';
export { type InspectedEnvelope, inspect } from './envelope.ts';
export { type JwsProfile, parseJws, signJws, type UnverifiedJws, verifyJws } from './jws.ts';
export { type RootClaims, signRoot } from './root.ts';
