import { signatureAlgorithms } from '@bulla/verifier';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { endpoints } from './endpoints.ts';
import { apiScopes } from './scopes.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().describe('Stable: docs/codes.md has them all.'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });

/** Where one Users API is. */
export interface ApiPlace {
  /** `<publicUrl>/a/<account>/api`: its issuer identifier (RFC 8414). */
  readonly issuer: string;
  readonly token: string;
  readonly base: string;
}

export function apiPlaceOf(publicUrl: string, account: string): ApiPlace {
  const issuer = `${publicUrl}/a/${account}/api`;
  return { issuer, token: `${issuer}/token`, base: `${issuer}/v1` };
}

/** Authorization-server metadata of a Users API (RFC 8414). */
export function apiMetadata({ issuer, token }: ApiPlace): JsonSchema {
  return {
    issuer,
    token_endpoint: token,
    response_types_supported: [],
    grant_types_supported: ['client_credentials'],
    scopes_supported: Object.keys(apiScopes),
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
    token_endpoint_auth_signing_alg_values_supported: signatureAlgorithms,
    service_documentation: `${issuer}/openapi.json`,
  };
}

/**
 * The Users API as an OpenAPI 3.1 document, made of the very table that the server answers by. It says the same of every
 * account but for its URLs.
 */
export function openapiDocument({ token, base }: ApiPlace): JsonSchema {
  const schemas = new Map<string, JsonSchema>();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    (paths[endpoint.path] ??= {})[endpoint.method.toLowerCase()] = operationOf(endpoint, schemas);
  }
  const problemSchema = hoist(problem, 'output', schemas);
  return {
    openapi: '3.1.1',
    info: {
      title: 'Bulla Users API',
      version: '1',
      description:
        'People and agents of one account: looked at, suspended, reactivated. A change is an entry in the trust log of the account, made under a lease of its admins, and holds at every verifier.',
    },
    servers: [{ url: base }],
    paths,
    components: {
      schemas: Object.fromEntries(schemas),
      responses: {
        Problem: {
          description: 'Refused.',
          content: { 'application/problem+json': { schema: problemSchema } },
        },
      },
      securitySchemes: {
        oauth: { type: 'oauth2', flows: { clientCredentials: { tokenUrl: token, scopes: apiScopes } } },
      },
    },
  };
}

const rateFields = {
  'RateLimit-Policy': field(
    '`"client";q=<requests>;w=<seconds>`: what a full bucket allows, and how long it takes to fill.',
  ),
  RateLimit: field('`"client";r=<requests>;t=<seconds>`: what is left, and when the bucket is full again.'),
};

function operationOf(endpoint: Endpoint, schemas: Map<string, JsonSchema>): JsonSchema {
  const { operationId, summary, description, scope, method, answer } = endpoint;
  const replayed = { 'Idempotency-Replayed': field('`true`: the answer of the first call with this key.') };
  return {
    operationId,
    summary,
    ...(description !== undefined && { description }),
    security: [{ oauth: [scope] }],
    parameters: parametersOf(endpoint, schemas),
    responses: {
      200: {
        description: 'Done.',
        headers: { ...rateFields, ...(method === 'POST' && replayed) },
        content: { 'application/json': { schema: hoist(answer, 'output', schemas) } },
      },
      default: { $ref: '#/components/responses/Problem' },
    },
  };
}

function parametersOf(
  { method, pathSchema, querySchema }: Endpoint,
  schemas: Map<string, JsonSchema>,
): JsonSchema[] {
  const inPath = Object.entries(pathSchema.shape).map(([name, schema]) => ({
    name,
    in: 'path',
    required: true,
    schema: hoist(schema as z.ZodType, 'input', schemas),
  }));
  const inQuery = Object.entries(querySchema.shape).map(([name, schema]) => ({
    name,
    in: 'query',
    schema: hoist(schema as z.ZodType, 'input', schemas),
  }));
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'Makes a call that may have been made already safe to repeat, for a day.',
    schema: { type: 'string', minLength: 1, maxLength: 128 },
  };
  return [...inPath, ...inQuery, ...(method === 'POST' ? [key] : [])];
}

function field(description: string): JsonSchema {
  return { description, schema: { type: 'string' } };
}

/** A schema as JSON Schema; what has a name of its own goes to `schemas`. */
function hoist(schema: z.ZodType, io: 'input' | 'output', schemas: Map<string, JsonSchema>): JsonSchema {
  const { $schema: _dialect, $defs = {}, ...rest } = z.toJSONSchema(schema, { io });
  for (const [name, definition] of Object.entries($defs)) schemas.set(name, redirected(definition));
  return redirected(rest);
}

function redirected(schema: object): JsonSchema {
  const text = JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/');
  const { id: _id, ...rest } = JSON.parse(text) as Record<string, unknown>;
  return rest;
}
