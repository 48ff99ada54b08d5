import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { createSigner, generatePrivateJwk } from '@bulla/verifier';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

test.each(['Ed25519', 'P-256'] as const)('a new %s key has both halves and signs', (curve) => {
  const signer = createSigner(generatePrivateJwk(curve));
  const data = Buffer.from('data');
  expect(signer.publicKey.verify(data, signer.sign(data))).toBe(true);
});

/** In a process of its own, with much garbage of changing size: Node 20 hung for good when a collection met an export. */
test('making many keys does not hang', async () => {
  const program = `import { generatePrivateJwk } from '@bulla/verifier';
    for (let made = 0; made < 60_000; made++) {
      generatePrivateJwk();
      new Array(made % 61).fill(made);
    }
    console.log('made')`;
  const node = [
    '--max-semi-space-size=1',
    '--import=tsx',
    '--conditions=@bulla/source',
    '--input-type=module',
  ];
  const { stdout } = await promisify(execFile)(process.execPath, [...node, '--eval', program], {
    cwd: root,
    timeout: 25_000,
  });
  expect(stdout).toBe('made\n');
});
