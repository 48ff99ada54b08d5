import type { RouteOptions, Signer, WireRequest } from '@bulla/verifier';
import {
  type CheckedProof,
  canonicalJson,
  checkProof,
  createProof,
  createPublicOrigins,
  encodeBase64url,
  type JsonObject,
  type PublicOrigins,
  readRequest,
} from '@bulla/verifier/envelope';
import { envelope, now, origin } from './deciding.ts';

export const publicOrigins: PublicOrigins = createPublicOrigins([origin]);

/** What a request is made of, before it is proven. */
export interface Draft {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export const order: Draft = {
  method: 'POST',
  target: '/orders/o1?expand=lines&page=2',
  body: '{"amount":100}',
  headers: { 'content-type': 'application/json' },
};

/** The request on the wire, proven by `signer`. */
export function provenWire(signer: Signer, draft: Draft = order): WireRequest {
  const proof = createProof({
    method: draft.method,
    url: origin + draft.target,
    body: draft.body,
    headers: draft.headers,
    envelope,
    signer,
    now,
  });
  return {
    method: draft.method,
    target: draft.target,
    headers: [
      ['Host', 'api.example'],
      ['Authorization', `DPoP ${envelope}`],
      ['DPoP', proof],
      ...Object.entries(draft.headers),
    ],
    body: Buffer.from(draft.body),
  };
}

/** The same request with one field replaced, in its place; `undefined` removes it. */
export function withField(wire: WireRequest, name: string, value: string | undefined): WireRequest {
  const others = wire.headers.filter(([field]) => field.toLowerCase() !== name);
  return { ...wire, headers: value === undefined ? others : [...others, [name, value]] };
}

export function check(
  wire: WireRequest,
  signer: Signer,
  more: { readonly route?: RouteOptions; readonly now?: number } = {},
): CheckedProof {
  return checkProof(readRequest(wire, publicOrigins), {
    holder: signer.publicKey,
    now: more.now ?? now,
    route: more.route ?? {},
  });
}

/** Header and claims of a proof, to change one and sign again. */
export function unpack(proof: string): { readonly header: JsonObject; readonly claims: JsonObject } {
  const [header, claims] = proof.split('.');
  const parse = (part = ''): JsonObject =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as JsonObject;
  return { header: parse(header), claims: parse(claims) };
}

/** Signs any text as a JWS, correct or not. */
export function signRaw(header: string, payload: string, signer: Signer): string {
  const input = `${encodeBase64url(Buffer.from(header))}.${encodeBase64url(Buffer.from(payload))}`;
  return `${input}.${encodeBase64url(signer.sign(Buffer.from(input)))}`;
}

/** The request with its proof's header and claims changed and signed again by `signer`. */
export function reproven(
  wire: WireRequest,
  signer: Signer,
  change: {
    readonly header?: JsonObject;
    readonly claims?: JsonObject;
    readonly without?: readonly string[];
  },
): WireRequest {
  const { header, claims } = unpack(wire.headers.find(([name]) => name.toLowerCase() === 'dpop')?.[1] ?? '');
  const changed: Record<string, unknown> = { ...claims, ...change.claims };
  for (const name of change.without ?? []) delete changed[name];
  const proof = signRaw(canonicalJson({ ...header, ...change.header }), canonicalJson(changed), signer);
  return withField(wire, 'dpop', proof);
}
