import { createSigner, parsePublicJwk } from '@bulla/verifier';
import { encodeBase64url } from '@bulla/verifier/envelope';
import {
  emptyStateRoot,
  hashTile,
  noteKeyId,
  parseCheckpoint,
  parseEntryBundle,
  parseNote,
  parseTilePath,
  signCheckpoint,
  TreeNodes,
  tileFill,
  tilePath,
  verifyCheckpoint,
  writeEntryBundle,
  writeNote,
} from '@bulla/verifier/log';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { absent, jsonFiles } from './vectors.ts';

// RFC 8032 section 7.1, test 1.
const signer = createSigner({
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
});
const origin = 'bulla.example/a/acct_1/log';
const checkpoint = { origin, size: 3, root: Buffer.alloc(32, 7), state: emptyStateRoot };
const note = signCheckpoint(checkpoint, 1_700_000_000, signer);
const expected = { origin, logKey: signer.publicKey };

describe('checkpoint', () => {
  test('what was signed is what is read', () => {
    expect(verifyCheckpoint(note, expected)).toEqual({ ...checkpoint, time: 1_700_000_000, note });
    expect(note.split('\n').slice(0, 3)).toEqual([origin, '3', checkpoint.root.toString('base64')]);
  });

  test('any changed character of the note is refused', () => {
    fc.assert(
      fc.property(fc.nat({ max: note.length - 1 }), fc.integer({ min: 1, max: 127 }), (at, by) => {
        const changed =
          note.slice(0, at) + String.fromCharCode(note.charCodeAt(at) ^ by) + note.slice(at + 1);
        expect(codeOf(() => verifyCheckpoint(changed, expected))).not.toBe('accepted');
      }),
    );
  });

  const state = `state ${emptyStateRoot.toString('base64')}`;
  const root = checkpoint.root.toString('base64');
  const sign = (text: string): string => {
    const [signature] = parseNote(note).signatures;
    return writeNote(text, signature === undefined ? [] : [signature]);
  };
  test.each([
    [`${origin}\n3\n${root}\n`, 'no state line'],
    [`${origin}\n3\n${root}\n${state}\n${state}\n`, 'two state lines'],
    [`${origin}\n03\n${root}\n${state}\n`, 'a leading zero'],
    [`${origin}\n-3\n${root}\n${state}\n`, 'a negative size'],
    [`${origin}\n9999999999999999\n${root}\n${state}\n`, 'a size over 2^53'],
    [`${origin}\n3\n${root.slice(0, 40)}\n${state}\n`, 'a short root'],
    [`${origin}\n3\n${root.slice(0, 42)}d=\n${state}\n`, 'a root with trailing bits'],
    [`\n3\n${root}\n${state}\n`, 'an empty origin'],
    [`${origin}\n3\n${root}\nnote x\n${state}\n`, 'another extension line'],
  ])('%j is refused: %s', (text) => {
    expect(codeOf(() => parseCheckpoint(sign(text)))).toBe('checkpoint_malformed');
  });

  test('another origin, no signature, a foreign key, a plain note signature', () => {
    expect(codeOf(() => verifyCheckpoint(note, { ...expected, origin: 'other' }))).toBe(
      'checkpoint_origin_wrong',
    );
    const other = createSigner({
      kty: 'OKP',
      crv: 'Ed25519',
      x: 'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw',
      d: 'TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs',
    });
    expect(codeOf(() => verifyCheckpoint(note, { ...expected, logKey: other.publicKey }))).toBe(
      'checkpoint_unsigned',
    );
    const [signature] = parseNote(note).signatures;
    const { text } = parseNote(note);
    if (signature === undefined) throw new Error('unsigned');
    expect(codeOf(() => verifyCheckpoint(writeNote(text, [signature, signature]), expected))).toBe(
      'checkpoint_unsigned',
    );
    const late = Buffer.from(signature.signature);
    late[7] = (late[7] as number) ^ 1;
    const moved = writeNote(text, [{ ...signature, signature: late }]);
    expect(codeOf(() => verifyCheckpoint(moved, expected))).toBe('checkpoint_signature_invalid');
    const plain = writeNote(text, [{ ...signature, signature: signer.sign(Buffer.from(text)) }]);
    expect(codeOf(() => verifyCheckpoint(plain, expected))).toBe('checkpoint_signature_invalid');
  });

  test('signatures by others are ignored', () => {
    const { text, signatures } = parseNote(note);
    const witness = { keyName: 'w.example', keyId: Buffer.alloc(4, 1), signature: Buffer.alloc(72) };
    expect(verifyCheckpoint(writeNote(text, [witness, ...signatures, witness]), expected).size).toBe(3);
  });
});

describe('note', () => {
  const line = `\u2014 n ${Buffer.alloc(8).toString('base64')}\n`;
  test.each([
    ['', 'nothing'],
    ['text\n', 'no signatures'],
    [`text\n${line}`, 'no blank line'],
    [`text\n\n${line.trimEnd()}`, 'no final newline'],
    [`te\u0000xt\n\n${line}`, 'a control character'],
    [`text\r\n\n${line}`, 'a carriage return'],
    [`te\ud800xt\n\n${line}`, 'a lone surrogate'],
    ['text\n\n- n AAAAAAAAAAA=\n', 'a hyphen'],
    ['text\n\n\u2014 n+m AAAAAAAAAAA=\n', 'a plus in the name'],
    ['text\n\n\u2014  AAAAAAAAAAA=\n', 'no name'],
    ['text\n\n\u2014 n AAAAAA==\n', 'four bytes'],
    ['text\n\n\u2014 n AAAAAAAAAAB=\n', 'trailing bits'],
    ['text\n\n\u2014 n AAAAAAAAAAA\n', 'no padding'],
    [`text\n\n${line.repeat(17)}`, 'too many signatures'],
    [`${'x'.repeat(17_000)}\n\n${line}`, 'too large'],
  ])('%j is refused: %s', (text) => {
    expect(codeOf(() => parseNote(text))).toBe('note_malformed');
  });
});

interface NoteVectors {
  signing: { skey: string; text: string; want: string };
  notes: { name: string; note: string | null; verifiers: string[]; expected: string; verified?: string[] }[];
}

/** The smallest verifier of plain Ed25519 notes: enough to run the published vectors against our parser. */
function verifiedNames(signed: string, vkeys: readonly string[]): string[] | undefined {
  const parsed = parseNote(signed);
  const keys = vkeys.map((vkey) => {
    const [name = '', id = '', key = ''] = vkey.split('+', 2).concat(vkey.split('+').slice(2).join('+'));
    const publicKey = parsePublicJwk({
      kty: 'OKP',
      crv: 'Ed25519',
      x: encodeBase64url(Buffer.from(key, 'base64').subarray(1)),
    });
    return { name, id, publicKey };
  });
  const names: string[] = [];
  for (const { keyName, keyId, signature } of parsed.signatures) {
    const own = keys.filter((key) => key.name === keyName && key.id === keyId.toString('hex'));
    if (own.length > 1) return undefined;
    const [key] = own;
    if (key === undefined || names.includes(key.name)) continue;
    if (!key.publicKey.verify(Buffer.from(parsed.text), signature)) return undefined;
    names.push(key.name);
  }
  return names.length > 0 ? names : undefined;
}

describe.skipIf(absent)('vectors of golang.org/x/mod/sumdb/note', () => {
  const read = (): NoteVectors =>
    jsonFiles('signed-note').find(({ name }) => name === 'golang-mod-note-vectors.json')
      ?.value as NoteVectors;

  test('a note is written byte for byte', () => {
    const { skey, text, want } = read().signing;
    const [, , , id = '', ...rest] = skey.split('+');
    const seed = Buffer.from(rest.join('+'), 'base64').subarray(1);
    const vkey = 'ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    const publicKey = Buffer.from(vkey, 'base64').subarray(1);
    const own = createSigner({
      kty: 'OKP',
      crv: 'Ed25519',
      x: encodeBase64url(publicKey),
      d: encodeBase64url(seed),
    });
    const keyId = noteKeyId('PeterNeumann', 1, publicKey);
    expect(keyId.toString('hex')).toBe(id);
    const signature = own.sign(Buffer.from(text));
    expect(writeNote(text, [{ keyName: 'PeterNeumann', keyId, signature }])).toBe(want);
  });

  test('every note is accepted or refused as published', () => {
    const { notes } = read();
    expect(notes.length).toBeGreaterThan(10);
    for (const vector of notes) {
      // One vector is not UTF-8: no string holds it, and transport refuses such bytes before they get here.
      const { note: text } = vector;
      if (text === null) continue;
      let verified: string[] | undefined;
      const code = codeOf(() => {
        verified = verifiedNames(text, vector.verifiers);
      });
      expect(['accepted', 'note_malformed'], vector.name).toContain(code);
      expect(verified === undefined ? 'reject' : 'accept', vector.name).toBe(vector.expected);
    }
  });
});

describe('tiles', () => {
  test('paths as in the specification, one spelling each', () => {
    expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('0/x001/x234/067');
    expect(tilePath({ level: 'entries', index: 0, width: 12 })).toBe('entries/000.p/12');
    fc.assert(
      fc.property(
        fc.oneof(fc.constant('entries' as const), fc.nat({ max: 63 })),
        fc.nat(),
        fc.integer({ min: 1, max: 256 }),
        (level, index, width) => {
          const name = { level, index, width };
          expect(parseTilePath(tilePath(name))).toEqual(name);
        },
      ),
    );
  });

  test.each([
    '',
    '0',
    '0/0',
    '00/000',
    '64/000',
    '0/x000/001',
    '0/1000',
    '0/001/002',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/012',
    'x/000',
    '0/000/',
    '-1/000',
    '0/../000',
  ])('%j names no tile', (path) => {
    expect(codeOf(() => parseTilePath(path))).toBe('tile_name_invalid');
  });

  test('a tree of 70,000 leaves has the tiles that the specification counts', () => {
    expect([tileFill(0, 272, 70_000), tileFill(0, 273, 70_000), tileFill(0, 274, 70_000)]).toEqual([
      256, 112, 0,
    ]);
    expect([tileFill(1, 0, 70_000), tileFill(1, 1, 70_000), tileFill(2, 0, 70_000)]).toEqual([256, 17, 1]);
  });

  test('a tile wider than the tree is unknown', () => {
    const { read } = new TreeNodes();
    expect(codeOf(() => hashTile(read, { level: 0, index: 0, width: 1 }, 0))).toBe('tile_unknown');
  });

  test('entry bundles come apart as they were put together', () => {
    const leaves = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(65_535, 1)];
    const bundle = writeEntryBundle(leaves);
    expect(parseEntryBundle(bundle, 3)).toEqual(leaves);
    expect(codeOf(() => parseEntryBundle(bundle, 2))).toBe('tile_malformed');
    expect(codeOf(() => parseEntryBundle(bundle.subarray(0, -1), 3))).toBe('tile_malformed');
    expect(codeOf(() => parseEntryBundle(Buffer.of(0), 1))).toBe('tile_malformed');
  });
});
