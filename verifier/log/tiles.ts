import { Refusal } from '../errors.ts';
import { limits } from '../limits.ts';
import type { NodeReader } from './merkle.ts';

/** C2SP tlog-tiles: hashes, or entries, in one full tile. */
export const tileWidth = 256;

/** What the part of the path after `tile/` names. `width` 256 = the full tile. */
export interface TileName {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

/** `0/x001/x234/067`, `entries/000.p/12`: the path after `tile/`. */
export function tilePath(name: TileName): string {
  const digits = String(name.index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const index = padded.replaceAll(/\d{3}(?=\d)/gu, 'x$&/');
  return `${name.level}/${index}${name.width === tileWidth ? '' : `.p/${name.width}`}`;
}

const tilePattern = /^(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/u;

/**
 * Reads the path after `tile/`. One spelling per tile: no additional zeroes.
 *
 * @throws {Refusal} `tile_name_invalid`.
 */
export function parseTilePath(path: string): TileName {
  const match = typeof path === 'string' ? tilePattern.exec(path) : null;
  if (match === null) throw new Refusal('tile_name_invalid', 'not the path of a tile');
  const name: TileName = {
    level: match[1] === 'entries' ? 'entries' : Number(match[1]),
    index: Number((match[2] as string).replaceAll(/[x/]/gu, '')),
    width: match[3] === undefined ? tileWidth : Number(match[3]),
  };
  const levelFits = name.level === 'entries' || name.level <= 63;
  if (!levelFits || name.width === 0 || tilePath(name) !== path) {
    throw new Refusal('tile_name_invalid', 'not the path of a tile');
  }
  return name;
}

/** How many hashes (or entries) of this tile exist in a tree of `size` leaves; 0 where the tile does not exist. */
export function tileFill(level: number | 'entries', index: number, size: number): number {
  const count = Math.floor(size / tileWidth ** (level === 'entries' ? 0 : level));
  return Math.max(0, Math.min(tileWidth, count - index * tileWidth));
}

/**
 * The bytes of a hash tile of a tree of `size` leaves.
 *
 * @throws {Refusal} `tile_unknown` where the tree has no such tile yet, or not that wide.
 */
export function hashTile(read: NodeReader, name: TileName, size: number): Buffer {
  if (name.level === 'entries' || name.width > tileFill(name.level, name.index, size)) {
    throw new Refusal('tile_unknown', 'no such tile at this size');
  }
  const level = name.level * 8;
  return Buffer.concat(
    Array.from({ length: name.width }, (_, offset) => read(level, name.index * tileWidth + offset)),
  );
}

/** A C2SP entry bundle: each leaf behind its length in two bytes, big-endian. */
export function writeEntryBundle(leaves: readonly Uint8Array[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const leaf of leaves) {
    if (leaf.length > limits.maxLeafBytes) throw new RangeError('leaf longer than a bundle can carry');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(leaf.length);
    parts.push(length, leaf);
  }
  return Buffer.concat(parts);
}

/**
 * Splits an entry bundle into leaves. Does NOT compare them with the tree.
 *
 * @throws {Refusal} `tile_malformed` for cut or surplus bytes, or another number of leaves than `width`.
 */
export function parseEntryBundle(bytes: Uint8Array, width: number): Buffer[] {
  const bundle = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const leaves: Buffer[] = [];
  let offset = 0;
  while (offset < bundle.length) {
    const end = offset + 2 <= bundle.length ? offset + 2 + bundle.readUInt16BE(offset) : Infinity;
    if (end > bundle.length) throw new Refusal('tile_malformed', 'entry bundle is cut');
    leaves.push(bundle.subarray(offset + 2, end));
    offset = end;
  }
  if (leaves.length !== width) throw new Refusal('tile_malformed', 'entry bundle has another width');
  return leaves;
}
