// Shows an orchestrator: it hands a sub-agent, whose key nobody registered, a capability for one kind of call.
// Run:   node --import=tsx --conditions=@bulla/source examples/orchestrator.ts      (after admin.ts and api.ts)
// Prints what was taken away, as Cedar text, then two answers to the sub-agent: its one call, and the next with a reason.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createAgent, describeEnvelope, generateKey } from '@bulla/agent';
import { parsePolicySetDocument } from '@bulla/verifier/policy';
import { folder, readSettings } from './settings.ts';

const { account, issuer, audience, agent } = readSettings();

// The orchestrator may read orders and place them up to 500. It knows its own key and what its admin published.
const orchestrator = createAgent({
  issuer: `${issuer}/a/${account}`,
  clientId: agent.clientId,
  key: agent.key,
  resource: audience,
});
const schema = parsePolicySetDocument(readFileSync(path.join(folder, 'policy.json')));

/** The sub-agent, elsewhere: it makes a key, is handed an envelope for it, and needs neither issuer nor secret. */
const key = generateKey();
async function subAgent(envelope: string): Promise<void> {
  const { fetch } = createAgent({ envelope, key: key.privateJwk });
  const order = async (amount: number): Promise<Response> =>
    fetch(`${audience}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ team: 'blue', amount }),
    });
  const tell = async (what: string, response: Response): Promise<void> =>
    console.log(`${what}: ${response.status} ${await response.text()}`);
  await tell('order of 90', await order(90));
  await tell('order of 400', await order(400));
  await tell('order read', await fetch(`${audience}/orders/1`));
}

// No issuer is asked: a block is signed with the orchestrator's key, and names the sub-agent's. It can be handed no further.
const { envelope, policies } = await orchestrator.delegate({
  next: key.publicJwk,
  only: { actions: ['order.create'], max: { amount: 100 } },
  expiresAt: Date.now() / 1000 + 60,
  seal: true,
  schema,
});
console.log(policies.join('\n'));
console.log(`held by ${(await describeEnvelope(envelope)).holders.length} keys`);
await subAgent(envelope);
