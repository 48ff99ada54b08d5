import { createHash } from 'node:crypto';
import { wordlist } from '@scure/bip39/wordlists/english.js';

const words = 12;
const bitsPerWord = 11;
/** Any two words of the list differ within these letters. */
const tellingLetters = 4;

/**
 * What two people read to each other to make sure that they mean the same key: 12 words of BIP 39's English list for the first
 * 132 bits of SHA-256 over `bulla-key-fingerprint-v1\n<thumbprint>` (docs/spec/keys.md). Whoever wants another key with the same words
 * has to try 2^132 of them. It is NOT a seed: no key comes out of it.
 */
export function fingerprintWords(thumbprint: string): readonly string[] {
  const hash = createHash('sha256').update(`bulla-key-fingerprint-v1\n${thumbprint}`).digest();
  let bits = BigInt(`0x${hash.toString('hex')}`) >> BigInt(256 - words * bitsPerWord);
  const spoken: string[] = [];
  for (let index = 0; index < words; index += 1) {
    spoken.unshift(wordlist[Number(bits & 2047n)] ?? '');
    bits >>= 11n;
  }
  return spoken;
}

/** The words in lines of four, as they are read aloud. */
export function fingerprintLines(thumbprint: string): string[] {
  const spoken = fingerprintWords(thumbprint);
  return [0, 4, 8].map((start) => `  ${spoken.slice(start, start + 4).join(' ')}`);
}

/**
 * Whether somebody said the fingerprint of this key: all 12 words in order, in any case and with anything between them; four letters
 * of a word do.
 */
export function saysFingerprint(said: string, thumbprint: string): boolean {
  const heard = saidWords(said);
  const meant = fingerprintWords(thumbprint);
  return heard.length === words && heard.every((word, index) => isWord(word, meant[index] ?? ''));
}

/** Whether the text could be a fingerprint at all: 12 words. */
export function isFingerprint(said: string): boolean {
  return saidWords(said).length === words;
}

function saidWords(said: string): readonly string[] {
  return said.toLowerCase().match(/[a-z]+/gu) ?? [];
}

function isWord(heard: string, meant: string): boolean {
  return heard === meant || (heard.length === tellingLetters && meant.startsWith(heard));
}
