import { createServer } from 'node:http';
import { type ExpressRequest, guard as guardExpress } from '@bulla/verifier/express';
import {
  type FastifyApp,
  type FastifyReply,
  type FastifyRequest,
  guard as guardFastify,
} from '@bulla/verifier/fastify';
import type { McpAuthInfo, McpTransport } from '@bulla/verifier/mcp';
import { guardNode, refuseUpgrade } from '@bulla/verifier/node';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import createExpress, { type Request, type RequestHandler } from 'express';
import createFastify, * as fastify from 'fastify';
import { expect, test } from 'vitest';
import { createProofWorld } from '../../kit/deciding.ts';

// The verifier imports no framework, not even its types. What it says of them is assigned to and from the real ones here:
// the compiler is the test, these functions are its input.

const { verifier } = createProofWorld();

test('Express 5 fits', () => {
  const request = (real: Request): ExpressRequest => real;
  const handler: RequestHandler = guardExpress(verifier, {});
  expect(createExpress().use(handler).use(guardExpress(verifier, {}))).toBeTypeOf('function');
  expect(request).toBeTypeOf('function');
});

test('Fastify 5 fits', async () => {
  const real = {
    request: (it: fastify.FastifyRequest): FastifyRequest => it,
    reply: (it: fastify.FastifyReply): FastifyReply => it,
    app: (it: fastify.FastifyInstance): FastifyApp => it,
  };
  const app = createFastify();
  await app.register(guardFastify(verifier, {}));
  expect(app.hasRequestDecorator('grant')).toBe(true);
  expect(real.app(app)).toBe(app);
});

test('node:http fits', () => {
  const server = createServer(guardNode(verifier, {})).on('upgrade', refuseUpgrade);
  expect(server.listenerCount('upgrade')).toBe(1);
});

test('the MCP SDK fits', () => {
  const transport = (real: StreamableHTTPServerTransport): McpTransport => real;
  const authInfo = (ours: McpAuthInfo): AuthInfo => ours;
  const info = { token: '', clientId: 'agt_1', scopes: ['read'] };
  expect(authInfo(info)).toBe(info);
  expect(transport).toBeTypeOf('function');
});
