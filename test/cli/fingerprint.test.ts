import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fingerprintWords, saysFingerprint } from 'bulla';
import { expect, test } from 'vitest';

const thumbprint = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k';
const spec = readFileSync(new URL('../../docs/spec/keys.md', import.meta.url), 'utf8');

test('the words of the vector are those of docs/spec/keys.md', () => {
  expect(spec).toContain(`\`${fingerprintWords(thumbprint).join(' ')}\``);
});
test('a word stands for eleven bits, so that another bit among the first 132 is another word', () => {
  const hash = createHash('sha256').update(`bulla-key-fingerprint-v1\n${thumbprint}`).digest('hex');
  const bits = BigInt(`0x${hash}`).toString(2).padStart(256, '0');
  const groups = Array.from({ length: 12 }, (_, index) => bits.slice(11 * index, 11 * (index + 1)));
  expect(new Set(fingerprintWords(thumbprint)).size).toBe(new Set(groups).size);
});
test('three letters of a word, or a word of another key, say nothing', () => {
  const words = fingerprintWords(thumbprint);
  expect(saysFingerprint(words.join(' '), thumbprint)).toBe(true);
  const short = words.map((word) => word.slice(0, 3)).join(' ');
  expect(saysFingerprint(short, thumbprint)).toBe(false);
  expect(saysFingerprint(['gymnasium', ...words.slice(1)].join(' '), thumbprint)).toBe(false);
});
