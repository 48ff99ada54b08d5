// Asks the issuer whose a key is and believes only the proof, under a checkpoint that was followed here from genesis.
// Run:   node --import=tsx --conditions=@bulla/source examples/whose-key.ts     (while admin.ts runs)
// Prints the agent of the key and its owner, then the same for a key that nobody has.
import { createSigner, generatePrivateJwk, Refusal } from '@bulla/verifier';
import { createFollower, type KeyFacts, verifyKeyAnswer } from '@bulla/verifier/log';
import { readSettings } from './settings.ts';

const { account, issuer, readToken, lock, agent } = readSettings();
const follower = createFollower({ account, url: issuer, readToken, lock });
follower.start();
await follower.ready;

for (const privateJwk of [agent.key, generatePrivateJwk()]) {
  const { person, subject, live } = await whose(createSigner(privateJwk).publicKey.thumbprint);
  process.stdout.write(
    `${subject ?? 'nobody'} of ${person ?? 'nobody'}, ${live ? 'in force' : 'not in force'}\n`,
  );
}
await follower.close();

/** Asks again where the log grew between the answer and the checkpoint that is here. */
async function whose(key: string): Promise<KeyFacts> {
  for (;;) {
    const response = await fetch(`${issuer}/a/${account}/keys/${key}`, {
      headers: { authorization: `Bearer ${readToken}` },
    });
    if (!response.ok) throw new Error(`the issuer answered ${response.status}`);
    const answer = Buffer.from(await response.arrayBuffer());
    const { checkpoint } = JSON.parse(answer.toString()) as { readonly checkpoint: string };
    const size = Number(checkpoint.split('\n')[1]);
    await follower.until((trust) => trust.size >= size);
    if (follower.checkpoint === undefined) throw new Error('no checkpoint was followed');
    try {
      return verifyKeyAnswer(answer, { key }, follower.checkpoint);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'key_answer_elsewhere') throw error;
    }
  }
}
