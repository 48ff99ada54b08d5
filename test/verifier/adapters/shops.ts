import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import * as express from '@bulla/verifier/express';
import * as fastify from '@bulla/verifier/fastify';
import { type FetchRoutes, guardFetch, type HttpOptions, type RouteRow } from '@bulla/verifier/fetch';
import * as hono from '@bulla/verifier/hono';
import { guardNode } from '@bulla/verifier/node';
import { serve } from '@hono/node-server';
import createExpress from 'express';
import createFastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { type Context, Hono } from 'hono';
import type { ProofWorld, TestGrant } from '../../kit/deciding.ts';

/** What every adapter's shop is made of. */
interface ShopOptions {
  readonly verifier: ProofWorld['verifier'];
  readonly options: HttpOptions;
  /** Each handler says its name first. */
  readonly ran: (handler: string) => void;
}

/** One adapter with its framework, as the conformance suite sees it. */
export interface Adapter {
  readonly name: string;
  readonly open: (shop: ShopOptions) => Promise<{ readonly server: Server; readonly close: () => void }>;
  /** Sees the request-target as it was sent, and every field. */
  readonly seesWire: boolean;
  /** Rows and handlers are apart, and the framework says which handler would run. */
  readonly asksRouter: boolean;
  /** Answers what a handler throws. Elsewhere that is the framework's. */
  readonly catchesHandlers: boolean;
}

const order = (id: string) => ({ type: 'Order', id });

/** Handlers answer JSON `{grant, params, query}`, or the content they were given. */
type RowName =
  | 'GET /orders/:id'
  | 'GET /orders/new'
  | 'POST /orders'
  | 'PUT /files/:id'
  | 'GET /search'
  | 'GET /api/v1/things/:id'
  | 'GET /boom'
  | 'GET /lost'
  | 'GET /tenant';

const rows: Readonly<Record<RowName, RouteRow>> = {
  'GET /orders/:id': { action: 'read', resource: (request) => order(request.param('id')) },
  'GET /orders/new': { action: 'draft', resource: () => order('new') },
  'POST /orders': {
    action: 'create',
    resource: (request) => order((request.json() as { id: string }).id),
  },
  'PUT /files/:id': { action: 'write', resource: (request) => order(request.param('id')) },
  'GET /search': { action: 'search', resource: (request) => order(request.query.get('id') ?? 'none') },
  'GET /api/v1/things/:id': { action: 'read', resource: (request) => order(request.param('id')) },
  'GET /boom': { action: 'read', resource: () => order('boom') },
  'GET /lost': {
    action: 'read',
    resource: () => {
      throw new Error('database password is hunter2');
    },
  },
  'GET /tenant': {
    action: 'read',
    bindHeaders: ['X-Tenant'],
    resource: (request) => order(request.header('x-tenant') ?? 'none'),
  },
};

const boom = (): never => {
  throw new Error('handler knows hunter2');
};

const table = { ...rows, 'GET /health': 'public' } as const;

/** What is registered on the app itself; `/orders/new` before the parameter, which Express would take first. */
const plainRoutes = [
  ['get', '/orders/new'],
  ['get', '/orders/:id'],
  ['post', '/orders'],
  ['put', '/files/:id'],
  ['get', '/search'],
  ['get', '/lost'],
  ['get', '/tenant'],
] as const;

const openNode: Adapter['open'] = async ({ verifier, options, ran }) => {
  const guarded = (name: RowName, read: (query: URLSearchParams) => string = () => '') => ({
    ...rows[name],
    handler: (
      _: unknown,
      response: { end(body: string | Uint8Array): void },
      { grant, request }: { grant: TestGrant; request: hono.MappedRequest },
    ) => {
      ran(name);
      if (name === 'GET /boom') boom();
      const { params, body } = request;
      response.end(body.length > 0 ? body : JSON.stringify({ grant, params, query: read(request.query) }));
    },
  });
  const listener = guardNode<TestGrant>(
    verifier,
    {
      'GET /orders/:id': guarded('GET /orders/:id'),
      'GET /orders/new': guarded('GET /orders/new'),
      'POST /orders': guarded('POST /orders'),
      'PUT /files/:id': guarded('PUT /files/:id'),
      'GET /search': guarded('GET /search', (query) => query.get('id') ?? 'none'),
      'GET /api/v1/things/:id': guarded('GET /api/v1/things/:id'),
      'GET /boom': guarded('GET /boom'),
      'GET /lost': guarded('GET /lost'),
      'GET /tenant': guarded('GET /tenant'),
      'GET /health': {
        public: true,
        handler: (_, response) => {
          ran('GET /health');
          response.end('well');
        },
      },
    },
    options,
  );
  return listening(createServer(listener));
};

const openFetch: Adapter['open'] = async ({ verifier, options, ran }) => {
  const guarded = (name: RowName): FetchRoutes<TestGrant>[string] => ({
    ...rows[name],
    handler: async (request, { grant, request: { params } }) => {
      ran(name);
      if (name === 'GET /boom') boom();
      const body = new Uint8Array(await request.arrayBuffer());
      const query = new URL(request.url).searchParams.get('id') ?? 'none';
      return body.length > 0 ? new Response(body) : Response.json({ grant, params, query });
    },
  });
  const routes: FetchRoutes<TestGrant> = {
    ...Object.fromEntries((Object.keys(rows) as RowName[]).map((name) => [name, guarded(name)])),
    'GET /health': {
      public: true,
      handler: () => {
        ran('GET /health');
        return new Response('well');
      },
    },
  };
  const handle = guardFetch(verifier, routes, options);
  return listening(serve({ fetch: handle, port: 0, hostname: '127.0.0.1' }) as Server);
};

const openHono: Adapter['open'] = async ({ verifier, options, ran }) => {
  const app = new Hono<hono.GuardEnv<TestGrant>>();
  app.use(hono.guard(verifier, table, { ...options, app }));
  const handler = async (c: Context<hono.GuardEnv<TestGrant>>): Promise<Response> => {
    ran(`${c.req.method} ${c.req.routePath}`);
    const body = new Uint8Array(await c.req.arrayBuffer());
    if (body.length > 0) return c.body(body);
    return c.json({ grant: c.get('grant'), params: c.req.param(), query: c.req.query('id') ?? 'none' });
  };
  for (const [method, path] of plainRoutes) app[method](path, (c) => handler(c));
  app.get('/boom', boom);
  app.onError((_, c) => c.text('failed', 500));
  const v1 = new Hono<hono.GuardEnv<TestGrant>>();
  v1.get('/things/:id', (c) => handler(c));
  v1.get('/forgotten', (c) => handler(c));
  app.route('/api/v1', v1);
  app.get('/health', (c) => {
    ran('GET /health');
    return c.text('well');
  });
  return listening(serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server);
};

const openExpress: Adapter['open'] = async ({ verifier, options, ran }) => {
  const app = createExpress();
  app.use(express.guard(verifier, table, options));
  app.use(createExpress.json());
  const handler: createExpress.RequestHandler = (request, response) => {
    ran(`${request.method} ${request.baseUrl}${(request.route as { path: string }).path}`);
    const { grant, request: mapped } = express.granted<TestGrant>(request);
    if (mapped.body.length > 0) {
      const given = Buffer.isBuffer(request.body) ? request.body : mapped.body;
      if (!Buffer.isBuffer(request.body)) {
        if (JSON.stringify(request.body) !== JSON.stringify(mapped.json())) throw new Error('other content');
      }
      response.end(given);
    } else response.json({ grant, params: request.params, query: request.query['id'] ?? 'none' });
  };
  for (const [method, path] of plainRoutes) app[method](path, handler);
  app.get('/boom', boom);
  const api = createExpress.Router();
  const v1 = createExpress.Router();
  v1.get('/things/:id', handler);
  v1.get('/forgotten', handler);
  api.use('/v1', v1);
  app.use('/api', api);
  app.get('/health', (_, response) => {
    ran('GET /health');
    response.send('well');
  });
  app.use(((_error, _request, response, next) => {
    if (response.headersSent) next(_error);
    else response.status(500).send('failed');
  }) satisfies createExpress.ErrorRequestHandler);
  return listening(createServer(app));
};

const openFastify: Adapter['open'] = async ({ verifier, options, ran }) => {
  const app = createFastify();
  await app.register(fastify.guard(verifier, table, options));
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) =>
    done(null, body),
  );
  const handler = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    ran(`${request.method} ${String(request.routeOptions.url)}`);
    const { grant, request: mapped } = fastify.granted<TestGrant>(request);
    if (mapped.body.length > 0) {
      const { body } = request;
      if (Buffer.isBuffer(body)) return reply.send(body);
      if (JSON.stringify(body) !== JSON.stringify(mapped.json())) throw new Error('other content');
      return reply.send(Buffer.from(mapped.body));
    }
    const query = (request.query as Record<string, string>)['id'] ?? 'none';
    return reply.send({ grant, params: request.params, query });
  };
  for (const [method, path] of plainRoutes) app[method](path, handler);
  app.get('/boom', boom);
  app.setErrorHandler((_error, _request, reply) => reply.code(500).send('failed'));
  await app.register(
    async (v1) => {
      v1.get('/things/:id', handler);
      v1.get('/forgotten', handler);
    },
    { prefix: '/api/v1' },
  );
  app.get('/health', async () => {
    ran('GET /health');
    return 'well';
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    server: app.server,
    close: () => {
      app.server.closeAllConnections();
      void app.close();
    },
  };
};

/** The server once it listens, on loopback, and what closes it. */
export async function listening(server: Server): Promise<{ server: Server; close: () => void }> {
  if (!server.listening) {
    if (server.address() === null) server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  return {
    server,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Every adapter that serves a whole API. */
export const adapters: readonly Adapter[] = [
  { name: 'node:http', open: openNode, seesWire: true, asksRouter: false, catchesHandlers: true },
  { name: 'Fetch API', open: openFetch, seesWire: false, asksRouter: false, catchesHandlers: true },
  { name: 'Hono', open: openHono, seesWire: true, asksRouter: true, catchesHandlers: false },
  { name: 'Express 5', open: openExpress, seesWire: true, asksRouter: false, catchesHandlers: false },
  { name: 'Fastify 5', open: openFastify, seesWire: true, asksRouter: true, catchesHandlers: false },
];
