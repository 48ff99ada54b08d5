// Shows the client of the MCP SDK as it is, with the `fetch` of an agent: a denied tool call says what to ask for.
// Run:   node --import=tsx --conditions=@bulla/source examples/mcp-agent.ts  (after admin.ts and mcp-server.ts)
// Prints three answers: an order that is read, one of another team that is not, and an order above the limit.
import { createAgent } from '@bulla/agent';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { readSettings } from './settings.ts';

const { account, issuer, audience, agent } = readSettings();
const { fetch } = createAgent({
  issuer: `${issuer}/a/${account}`,
  clientId: agent.clientId,
  key: agent.key,
  resource: audience,
});
const client = new Client({ name: 'orders-agent', version: '1.0.0' });
await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', audience), { fetch }));

async function call(name: string, args: Record<string, unknown>): Promise<void> {
  const { isError, content } = await client.callTool({ name, arguments: args });
  console.log(`${name} ${isError === true ? 'denied' : 'done'}: ${JSON.stringify(content)}`);
}

await call('read_order', { id: '1' });
await call('read_order', { id: '2' });
await call('create_order', { team: 'blue', amount: 900 });
await client.close();
