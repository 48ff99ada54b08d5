import { createPublicKey } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePublicJwk, Refusal } from '@bulla/verifier';
import { parseOutsideJwk, parseOutsideToken } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../kit/deciding.ts';

const vectors = process.env['BULLA_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors');
const folder = join(vectors, 'jose');
const present = existsSync(folder);
const read = (path: string): unknown => JSON.parse(readFileSync(join(folder, path), 'utf8'));

type Verify = (data: Uint8Array, signature: Uint8Array) => boolean;

interface Wycheproof {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly publicKeyDer: string;
    readonly tests: readonly {
      readonly tcId: number;
      readonly msg: string;
      readonly sig: string;
      readonly result: 'valid' | 'invalid' | 'acceptable';
    }[];
  }[];
}

const outside =
  (algorithm: string) =>
  (jwk: unknown): Verify => {
    const key = parseOutsideJwk(jwk);
    return (data, signature) => key.verify(algorithm, data, signature);
  };
const own = (jwk: unknown): Verify => {
  const key = parsePublicJwk(jwk);
  return (data, signature) => key.verify(data, signature);
};

/** With the number of cases of the sample: fewer would mean that some were not run. */
const wycheproof = [
  ['ed25519_test.json', 'our own keys', own, 151],
  ['ed25519_test.json', 'outside keys', outside('EdDSA'), 151],
  ['ecdsa_secp256r1_sha256_p1363_test.json', 'our own keys', own, 262],
  ['ecdsa_secp256r1_sha256_p1363_test.json', 'outside keys', outside('ES256'), 262],
  ['ecdsa_secp384r1_sha384_p1363_test.json', 'outside keys', outside('ES384'), 280],
] as const;

describe.skipIf(!present)('Wycheproof', () => {
  test.each(wycheproof)('%s, as %s: every verdict is that of the file', (name, _, keyOf, count) => {
    const file = read(`wycheproof/${name}`) as Wycheproof;
    const wrong: number[] = [];
    let run = 0;
    for (const { publicKeyDer, tests } of file.testGroups) {
      const der = { key: Buffer.from(publicKeyDer, 'hex'), format: 'der', type: 'spki' } as const;
      const jwk = createPublicKey(der).export({ format: 'jwk' });
      for (const { tcId, msg, sig, result } of tests) {
        run += 1;
        const accepted = accepts(() => keyOf(jwk)(Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex')));
        if (accepted !== (result === 'valid')) wrong.push(tcId);
      }
    }
    expect(wrong).toEqual([]);
    expect(run).toBe(file.numberOfTests);
    expect(run).toBeGreaterThanOrEqual(count);
  });

  test('no file about a signature that is verified here is left out', () => {
    const names = readdirSync(join(folder, 'wycheproof')).filter((name) =>
      /^(?:ed25519|ecdsa_secp(?:256r1_sha256|384r1_sha384)_p1363)_test\.json$/u.test(name),
    );
    expect(new Set(names)).toEqual(new Set(wycheproof.map(([name]) => name)));
  });
});

/** A key that is refused accepts nothing. */
function accepts(verify: () => boolean): boolean {
  try {
    return verify();
  } catch (error) {
    if (error instanceof Refusal && error.code === 'key_invalid') return false;
    throw error;
  }
}

interface Cookbook {
  readonly input: { readonly key: Readonly<Record<string, string>>; readonly alg: string };
  readonly output: { readonly compact: string };
}

/** What an outside token signed so would meet. Their payloads are no JSON, so signatures are checked by themselves. */
const cookbook = [
  ['jws/4_1.rsa_v15_signature.json', 'verifies'],
  ['jws/4_2.rsa-pss_signature.json', 'algorithm refused'],
  ['jws/4_3.ecdsa_signature.json', 'key_invalid'],
  ['jws/4_4.hmac-sha2_integrity_protection.json', 'key_invalid'],
  ['curve25519/jws.json', 'verifies'],
] as const;

describe.skipIf(!present)('the cookbook of RFC 7520 and RFC 8037', () => {
  test.each(cookbook)('%s: %s', async (name, verdict) => {
    const { input, output } = read(`ietf-cookbook/${name}`) as Cookbook;
    const { kty, crv, n, e, x, y } = input.key;
    const members = Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined);
    const [header = '', payload = '', signature = ''] = output.compact.split('.');
    const verdictOf = (): string => {
      const key = parseOutsideJwk(Object.fromEntries(members));
      if (!key.algorithms.includes(input.alg)) return 'algorithm refused';
      const check = (text: string): boolean =>
        key.verify(input.alg, Buffer.from(text), Buffer.from(signature, 'base64url'));
      expect(check(`${header}.${payload}A`)).toBe(false);
      return check(`${header}.${payload}`) ? 'verifies' : 'does not verify';
    };
    let came = '';
    const code = await codeOf(() => {
      came = verdictOf();
    });
    expect(code === 'accepted' ? came : code).toBe(verdict);
    expect(await codeOf(() => parseOutsideToken(output.compact))).toBe('federation_token_invalid');
  });
});
