// Shows an MCP server whose tools are guarded: each tool call is one decision about its arguments.
// Run:   node --import=tsx --conditions=@bulla/source examples/mcp-server.ts (after admin.ts, instead of api.ts)
// Prints `api on <url>`, then `<outcome> <action>` for each decision.
import { createServer } from 'node:http';
import { createVerifier, memoryReplay } from '@bulla/verifier';
import { createFollower } from '@bulla/verifier/log';
import { grantOf, guardMcp, type McpTable, textOf } from '@bulla/verifier/mcp';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';
import { readSettings } from './settings.ts';

const { account, issuer, readToken, lock, audience } = readSettings();
const follower = createFollower({ account, url: issuer, readToken, lock });
follower.start();
await follower.ready;
const verifier = createVerifier({
  account,
  audience,
  publicOrigins: [audience],
  trust: follower.trust,
  replay: memoryReplay({ processes: 1 }),
  onReceipt: ({ outcome, action }) => console.log(`${outcome} ${action}`),
});

const teams: Readonly<Record<string, string>> = { '1': 'blue', '2': 'red' };
const entity = (id: string, team = teams[id] ?? 'none') => ({ type: 'Order', id, attributes: { team } });
const table: McpTable = {
  tools: {
    read_order: { action: 'order.read', resource: (args) => entity(textOf(args, 'id')) },
    create_order: {
      action: 'order.create',
      resource: (args) => entity('new', textOf(args, 'team')),
      context: ({ amount }) => ({ amount }),
    },
  },
  methods: { initialize: 'public', 'notifications/initialized': 'public', 'tools/list': 'public' },
};

const text = (said: string) => ({ content: [{ type: 'text' as const, text: said }] });
function createTools(): McpServer {
  const tools = new McpServer({ name: 'orders', version: '1.0.0' });
  tools.registerTool('read_order', { inputSchema: { id: z.string() } }, ({ id }, extra) =>
    text(`order ${id}, read by ${grantOf(extra).subject}`),
  );
  const order = { team: z.string(), amount: z.number() };
  tools.registerTool('create_order', { inputSchema: order }, ({ amount }) => text(`ordered for ${amount}`));
  return tools;
}

const listener = guardMcp(verifier, table, async () => {
  const transport = new StreamableHTTPServerTransport();
  await createTools().connect(transport);
  return transport;
});
const { hostname, port } = new URL(audience);
const server = createServer(listener).listen(Number(port), hostname, () => console.log(`api on ${audience}`));
process.once('SIGTERM', () => server.close(() => void follower.close()));
