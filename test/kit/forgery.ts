import type { PublicJwk, Signer } from '@bulla/verifier';
import { canonicalJson, envelopeDigest, type JsonObject } from '@bulla/verifier/envelope';
import * as fc from 'fast-check';
import { signRaw, unpack } from './wire.ts';

type Change = 'nothing' | 'narrow' | 'exp' | 'depth' | 'cnf';

/** One thing that is done to a list of blocks. Places are taken modulo its length. */
export interface Edit {
  readonly kind: 'drop' | 'double' | 'swap' | 'borrow' | 'insert' | 'cut' | 'resign' | 'rewrite' | 'append';
  readonly at: number;
  readonly change: Change;
  /** Leaves the mint's `kid` in the header of a block that is signed again. */
  readonly kid: boolean;
}
/** Everything that one can do to blocks without a key of those who signed them. */
export const edits: fc.Arbitrary<Edit> = fc.record({
  kind: fc.oneof(
    fc.constantFrom<Edit['kind']>('drop', 'borrow', 'rewrite'),
    fc.constantFrom<Edit['kind']>('double', 'swap', 'insert', 'cut', 'resign', 'append'),
  ),
  at: fc.nat(5),
  change: fc.constantFrom('narrow', 'narrow', 'nothing', 'exp', 'depth', 'cnf'),
  kid: fc.boolean(),
});

/** A block of an envelope, and what is to be changed in it before it is linked and signed anew; undefined leaves it as it is. */
export interface Piece {
  readonly part: string;
  readonly resigned?: { readonly change: Change; readonly kid: boolean };
}

/** The blocks after one edit; `other` are those of another envelope. */
export function edited(
  pieces: readonly Piece[],
  other: readonly Piece[],
  { kind, at, ...resigned }: Edit,
): readonly Piece[] {
  const here = at % Math.max(1, pieces.length);
  const piece = pieces[here];
  const foreign = other[at % other.length] as Piece;
  if (piece === undefined) return [foreign];
  const again = (each: Piece, change: Change): Piece => ({ ...each, resigned: { ...resigned, change } });
  switch (kind) {
    case 'drop':
      return pieces.toSpliced(here, 1);
    case 'double':
      return pieces.toSpliced(here, 0, piece);
    case 'swap':
      return pieces.with(here, pieces.at(here - 1) as Piece).with(here - 1, piece);
    case 'borrow':
      return pieces.with(here, foreign);
    case 'insert':
      return pieces.toSpliced(here, 0, foreign);
    case 'cut':
      return pieces.slice(0, here + 1);
    case 'resign':
      return pieces.with(here, again(piece, resigned.change));
    case 'rewrite':
      return pieces.map((each, index) =>
        index < here ? each : again(each, index === here ? resigned.change : 'nothing'),
      );
    default:
      return [...pieces, again(pieces.at(-1) as Piece, resigned.change)];
  }
}

function changed(change: Change, key: PublicJwk, depth: number, now: number): JsonObject {
  if (change === 'narrow') return { narrow: [] };
  if (change === 'exp') return { exp: now + 9000 };
  if (change === 'depth') return { depth };
  return change === 'cnf' ? { cnf: { jwk: { ...key } } } : {};
}

/** Whatever is changed is linked to what is before it, and signed by `key`. */
export function assemble(pieces: readonly Piece[], key: Signer, now: number): string {
  let text = '';
  for (const { part, resigned } of pieces) {
    let block = part;
    if (resigned !== undefined) {
      const { header, claims } = unpack(part);
      const depth = Math.max(0, 15 - text.split('~').length);
      const link = text === '' ? {} : { prev: envelopeDigest(text) };
      const claimed = { ...claims, ...link, ...changed(resigned.change, key.publicKey.jwk, depth, now) };
      const { kid: _, ...plain } = header;
      block = signRaw(canonicalJson(resigned.kid ? header : plain), canonicalJson(claimed), key);
    }
    text = text === '' ? block : `${text}~${block}`;
  }
  return text;
}

/** The blocks of an envelope, as they are. */
export const piecesOf = (envelope: string): readonly Piece[] => envelope.split('~').map((part) => ({ part }));
