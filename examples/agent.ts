// Shows an agent: it exchanges its key for a capability, then uses a `fetch` that proves each request.
// Run:   node --import=tsx --conditions=@bulla/source examples/agent.ts      (after admin.ts and api.ts)
// Prints three answers: an order that is read, one of another team that is not, and an order above the limit.
import { createAgent } from '@bulla/agent';
import { readSettings } from './settings.ts';

const { account, issuer, audience, agent } = readSettings();
const { fetch } = createAgent({
  issuer: `${issuer}/a/${account}`,
  clientId: agent.clientId,
  key: agent.key,
  resource: audience,
});

/** The API says why not: which policy denied, in its author's words, as problem+json (RFC 9457). */
async function tell(what: string, response: Response): Promise<void> {
  console.log(`${what}: ${response.status} ${await response.text()}`);
}

await tell('order of the own team', await fetch(`${audience}/orders/1`));
await tell('order of another team', await fetch(`${audience}/orders/2`));
await tell(
  'order of 900',
  await fetch(`${audience}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ team: 'blue', amount: 900 }),
  }),
);
