import type { Json, JsonObject } from '@bulla/verifier/envelope';
import { bulkLimits } from './bulk.ts';
import { maxResults } from './listing.ts';
import { refuse } from './refuse.ts';
import { type Attribute, type ResourceType, resourceTypes, type Schema, schemas } from './schema.ts';

const listSchema = 'urn:ietf:params:scim:api:messages:2.0:ListResponse';
const core = 'urn:ietf:params:scim:schemas:core:2.0';

/**
 * What a service says about itself: RFC 7644 section 4. `path` is what follows the base, such as `/Schemas/<URN>`.
 *
 * @returns undefined where `path` names nothing of this kind.
 * @throws {IssuerRefusal} `scim_filter_refused`, `scim_resource_unknown`.
 */
export function discover(path: string, base: string, query: URLSearchParams): JsonObject | undefined {
  if (!isDiscovery(path)) return undefined;
  const [name, id] = splitPath(path);
  if (query.has('filter')) throw refuse('scim_filter_refused', 'discovery answers are not filtered');
  if (name === 'ServiceProviderConfig' && id === undefined) return serviceProviderConfig(base);
  const all =
    name === 'Schemas'
      ? schemas.map((schema) => describeSchema(schema, base))
      : resourceTypes.map((type) => describeResourceType(type, base));
  if (id === undefined) {
    return {
      schemas: [listSchema],
      totalResults: all.length,
      startIndex: 1,
      itemsPerPage: all.length,
      Resources: all,
    };
  }
  const found = all.find((each) => same(each['id'], id));
  if (found === undefined) throw refuse('scim_resource_unknown', 'no schema or resource type has this id');
  return found;
}

function same(id: Json | undefined, wanted: string): boolean {
  return typeof id === 'string' && id.toLowerCase() === wanted.toLowerCase();
}

/** Whether a path is about the service and not about its resources. */
export function isDiscovery(path: string): boolean {
  return ['ServiceProviderConfig', 'ResourceTypes', 'Schemas'].includes(splitPath(path)[0]);
}

/** `/Schemas/urn:…` into `Schemas` and `urn:…`. */
export function splitPath(path: string): readonly [name: string, id: string | undefined] {
  const [, name = '', id] = /^\/([^/]*)(?:\/(.+))?$/u.exec(path) ?? [];
  return [name, id];
}

function serviceProviderConfig(base: string): JsonObject {
  return {
    schemas: [`${core}:ServiceProviderConfig`],
    patch: { supported: true },
    bulk: {
      supported: true,
      maxOperations: bulkLimits.maxOperations,
      maxPayloadSize: bulkLimits.maxPayloadBytes,
    },
    filter: { supported: true, maxResults },
    changePassword: { supported: false },
    sort: { supported: true },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token of the connection',
        description: 'RFC 6750 bearer token that the operator issued for this connection',
        specUri: 'https://www.rfc-editor.org/rfc/rfc6750',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
  };
}

function describeResourceType(type: ResourceType, base: string): JsonObject {
  return {
    schemas: [`${core}:ResourceType`],
    id: type.name,
    name: type.name,
    description: type.description,
    endpoint: type.endpoint,
    schema: type.schema.id,
    schemaExtensions: type.extensions.map(({ id }) => ({ schema: id, required: false })),
    meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/${type.name}` },
  };
}

function describeSchema({ id, name, description, attributes }: Schema, base: string): JsonObject {
  return {
    schemas: [`${core}:Schema`],
    id,
    name,
    description,
    attributes: attributes.map(describeAttribute),
    meta: { resourceType: 'Schema', location: `${base}/Schemas/${id}` },
  };
}

function describeAttribute({ subAttributes, ...rest }: Attribute): JsonObject {
  const { canonicalValues, referenceTypes, ...plain } = rest;
  return {
    ...plain,
    ...(canonicalValues !== undefined && canonicalValues.length > 0 && { canonicalValues }),
    ...(referenceTypes !== undefined && { referenceTypes }),
    ...(rest.type === 'complex' && { subAttributes: subAttributes.map(describeAttribute) }),
  };
}
