import { fingerprintWords } from 'bulla';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { operatorToken } from '../kit/invited.ts';
import { newKey, readToken } from '../kit/issuer.ts';
import { testDomain } from '../kit/log.ts';
import { InvitedDesk } from './invited-desk.ts';

let at: InvitedDesk;
let bob: string;
const words = fingerprintWords(newKey().signer.publicKey.thumbprint).join(' ');
beforeEach(async () => {
  at = await InvitedDesk.create();
  const { desk, invited } = at;
  const { world } = invited;
  const { account } = world.ledger;
  const accounts = [{ account, url: world.config.publicUrl, readToken, adminKeys: [] }];
  desk.write('home/home.json', JSON.stringify({ version: 1, current: account, accounts }));
  desk.write('operator.token', operatorToken);
  bob = await invited.provision('bob');
  // The command follows checkpoints, of which one is signed a moment later.
  await world.hosted.log.tick();
});
afterEach(() => at.close());

async function answer(...argv: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await at.desk.run(['--json', 'key', ...argv], at.options());
  return JSON.parse(stdout) as Record<string, unknown>;
}
const asOperator = (): readonly string[] => ['--operator-token-file', at.desk.path('operator.token')];

test('a name of the directory is found by operators, marked as the word of the directory, and never over a name given here', async () => {
  await at.invited.provision('bobby');
  for (const name of ['bob', `Bob@${testDomain}`]) {
    expect(await answer('show', name, ...asOperator())).toMatchObject({ principal: bob, directory: true });
  }
  expect(await answer('show', 'bobb', ...asOperator())).toMatchObject({ error: { code: 'subject_unknown' } });
  expect(await answer('show', 'bob')).toMatchObject({ error: { code: 'subject_unknown' } });
  expect(await answer('show', bob)).toMatchObject({ principal: bob, directory: false });
});

test('a person is found by what stands before the `@`, however many longer names an IdP puts in front', async () => {
  for (let index = 0; index < 50; index += 1) await at.invited.provision(`bob!${index}`);
  expect(await answer('show', 'bob', ...asOperator())).toMatchObject({ principal: bob });
});

test('a name is kept only for a person whose key was found, and then stands before what the directory says', async () => {
  const { world } = at.invited;
  const nobody = await answer('verify', 'bob', words, '--as', 'friend', ...asOperator());
  expect(nobody).toMatchObject({ error: { code: 'key_differs' } });
  expect(await answer('show', 'friend')).toMatchObject({ error: { code: 'subject_unknown' } });
  const { id, signer } = world.alice;
  await answer('verify', id, signer.publicKey.thumbprint, '--as', 'bob');
  expect(await answer('show', 'bob', ...asOperator())).toMatchObject({
    principal: id,
    name: 'bob',
    directory: false,
  });
});
