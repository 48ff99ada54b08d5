import { createHash } from 'node:crypto';
import { encodeBase64url } from '../base64url.ts';
import { parseJws, signJws, type UnverifiedJws } from '../envelope/jws.ts';
import { canonicalJson, type JsonObject } from '../json.ts';
import type { Signer } from '../keys.ts';
import { limits } from '../limits.ts';
import { malformed } from './fields.ts';

export const entryType = 'bulla-entry+jwt';
export const requestType = 'bulla-request+jwt';
type StatementType = typeof entryType | typeof requestType;

/** A payload and its signatures: `primary~sig~sig…`. Nothing is verified yet. */
export interface UnverifiedStatement {
  readonly payload: JsonObject;
  readonly primary: UnverifiedSignature;
  /** The further signatures, strictly ascending by thumbprint. */
  readonly further: readonly UnverifiedSignature[];
}

export interface UnverifiedSignature {
  /** The thumbprint that the header claims (`kid`). */
  readonly thumbprint: string;
  readonly jws: UnverifiedJws;
}

/**
 * Parses `primary~header..signature~…` strictly: one spelling of each set of signatures. Does NOT verify them.
 * The caller bounds the size.
 *
 * @throws {Refusal} `entry_malformed` or a code of {@link parseJws}.
 */
export function parseStatement(compact: string, typ: StatementType): UnverifiedStatement {
  const [first = '', ...rest] = compact.split('~');
  if (rest.length >= limits.maxLeafSignatures) throw malformed('too many signatures');
  const primary = parseSignature(first, typ);
  const payloadPart = first.split('.')[1] ?? '';
  const further = rest.map((detached) => parseSignature(attach(detached, payloadPart), typ));
  for (const [index, signature] of further.entries()) {
    const before = further[index - 1];
    if (signature.thumbprint === primary.thumbprint) throw malformed('two signatures by one key');
    if (before !== undefined && before.thumbprint >= signature.thumbprint) {
      throw malformed('signatures are not in ascending order');
    }
  }
  return { payload: primary.jws.payload, primary, further };
}

function parseSignature(compact: string, typ: StatementType): UnverifiedSignature {
  const jws = parseJws(compact, { typ, members: ['kid'] });
  const thumbprint = jws.header['kid'];
  if (typeof thumbprint !== 'string') throw malformed('`kid` is not text');
  return { thumbprint, jws };
}

function attach(detached: string, payloadPart: string): string {
  const parts = detached.split('.');
  if (parts.length !== 3 || parts[1] !== '') throw malformed('further signature is not `header..signature`');
  return `${parts[0]}.${payloadPart}.${parts[2]}`;
}

export function signStatement(
  typ: StatementType,
  payload: JsonObject,
  signer: Signer,
  cosigners: readonly Signer[],
): string {
  const primary = signJws(typ, { kid: signer.publicKey.thumbprint }, payload, signer);
  return cosigners.reduce(cosign, primary);
}

/**
 * Adds one more signature to a leaf or a request, so that several people can sign one after the other.
 *
 * @throws {Refusal} `entry_malformed` when this key has signed already, or a code of {@link parseJws}.
 */
export function cosign(statement: string, signer: Signer): string {
  const typ = typeOf(statement);
  const { further } = parseStatement(statement, typ);
  const [primary = '', ...texts] = statement.split('~');
  const signatures = texts.map((signature, index) => ({
    signature,
    thumbprint: further[index]?.thumbprint ?? '',
  }));
  const thumbprint = signer.publicKey.thumbprint;
  const header = encodeBase64url(Buffer.from(canonicalJson({ alg: signer.algorithm, typ, kid: thumbprint })));
  const input = Buffer.from(`${header}.${primary.split('.')[1] ?? ''}`, 'latin1');
  signatures.push({ signature: `${header}..${encodeBase64url(signer.sign(input))}`, thumbprint });
  signatures.sort((a, b) => (a.thumbprint < b.thumbprint ? -1 : 1));
  const result = [primary, ...signatures.map(({ signature }) => signature)].join('~');
  parseStatement(result, typ);
  return result;
}

/**
 * As {@link cosign}, and the request goes on this signer's word from then on: theirs is the first signature, and the one that was
 * first is a further one. So a new key can sign before the sponsor who vouches for it.
 *
 * @throws {Refusal} as {@link cosign}, and `entry_malformed` for what is not in canonical form.
 */
export function cosignFirst(statement: string, signer: Signer): string {
  const typ = typeOf(statement);
  const { payload, primary, further } = parseStatement(statement, typ);
  const [first = '', ...texts] = statement.split('~');
  const [header, payloadPart, signature] = first.split('.');
  const leading = signJws(typ, { kid: signer.publicKey.thumbprint }, payload, signer);
  if (leading.split('.')[1] !== payloadPart) throw malformed('payload is not canonical');
  const others = [
    { text: `${header}..${signature}`, thumbprint: primary.thumbprint },
    ...texts.map((text, index) => ({ text, thumbprint: further[index]?.thumbprint ?? '' })),
  ];
  others.sort((a, b) => (a.thumbprint < b.thumbprint ? -1 : 1));
  const result = [leading, ...others.map(({ text }) => text)].join('~');
  parseStatement(result, typ);
  return result;
}

function typeOf(statement: string): StatementType {
  const header = Buffer.from(statement.split('.')[0] ?? '', 'base64url').toString('utf8');
  return header.includes(`"${requestType}"`) ? requestType : entryType;
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
