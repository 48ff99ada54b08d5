// Shows narrowing: an agent hands a helper, whose key nobody registered, a capability to order for at most 100.
// Run:   node --import=tsx --conditions=@bulla/source examples/narrow.ts     (after admin.ts and api.ts)
// Prints three answers to the helper: an order of 90, an order of 400 that the agent itself could place, and a read.
import { createAgent, generateKey } from '@bulla/agent';
import { createSigner, type Signer } from '@bulla/verifier';
import { createProof, inspect, narrowTo, signBlock } from '@bulla/verifier/envelope';
import { readSettings } from './settings.ts';

const { account, issuer, audience, agent } = readSettings();
const now = (): number => Date.now() / 1000;

// The agent: appends a block that takes away all but small orders and names the helper's key. No call to the issuer.
const own = createSigner(agent.key);
const held = await createAgent({
  issuer: `${issuer}/a/${account}`,
  clientId: agent.clientId,
  key: own,
  resource: audience,
}).envelope();
const helper: Signer = createSigner(generateKey().privateJwk);
const narrowed = signBlock(
  held,
  {
    iat: Math.floor(now()),
    depth: inspect(held).effective.depth - 1,
    exp: Math.floor(now()) + 60,
    narrow: narrowTo([{ type: 'bulla', actions: ['order.create'], limits: { amount: 100 } }]),
    next: helper.publicKey.jwk,
  },
  own,
);

// The helper: has the narrowed envelope and its own key, and proves each request.
async function call(method: string, url: string, body?: string, nonce?: string): Promise<Response> {
  const content = body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } };
  const asked = nonce === undefined ? {} : { nonce };
  const proof = createProof({
    method,
    url,
    ...content,
    ...asked,
    envelope: narrowed,
    signer: helper,
    now: now(),
  });
  const headers = { ...content.headers, authorization: `DPoP ${narrowed}`, dpop: proof };
  const response = await fetch(url, { method, headers, ...(body !== undefined && { body }) });
  const wanted = response.headers.get('dpop-nonce');
  return wanted === null || nonce !== undefined ? response : call(method, url, body, wanted);
}

const order = (amount: number): string => JSON.stringify({ team: 'blue', amount });
console.log(`order of 90: ${(await call('POST', `${audience}/orders`, order(90))).status}`);
console.log(`order of 400: ${(await call('POST', `${audience}/orders`, order(400))).status}`);
console.log(`order read: ${(await call('GET', `${audience}/orders/1`)).status}`);
