import { Schemas, type Types } from 'scimmy';

/** One attribute of a schema, as RFC 7643 section 7 describes it. */
export interface Attribute {
  readonly name: string;
  readonly type:
    | 'string'
    | 'complex'
    | 'boolean'
    | 'binary'
    | 'decimal'
    | 'integer'
    | 'dateTime'
    | 'reference';
  readonly multiValued: boolean;
  readonly description: string;
  readonly required: boolean;
  readonly caseExact: boolean;
  readonly mutability: 'readOnly' | 'readWrite' | 'immutable' | 'writeOnly';
  readonly returned: 'always' | 'never' | 'default' | 'request';
  readonly uniqueness: 'none' | 'server' | 'global';
  readonly canonicalValues?: readonly string[];
  readonly referenceTypes?: readonly string[];
  readonly subAttributes: readonly Attribute[];
}

/** A schema: its URN, and its attributes. */
export interface Schema {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly attributes: readonly Attribute[];
}

/** A kind of resource that is served: RFC 7643 section 6. */
export interface ResourceType {
  readonly name: 'User' | 'Group' | 'Agent';
  readonly endpoint: '/Users' | '/Groups' | '/Agents';
  readonly description: string;
  readonly schema: Schema;
  readonly extensions: readonly Schema[];
  /**
   * Extensions that only the service writes, shown to whoever asks for them by name. A strict client takes what `schemaExtensions`
   * lists for writable: they are not in it.
   */
  readonly standing: readonly Schema[];
}

const described = {
  multiValued: false,
  required: false,
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  subAttributes: [],
} as const;

function attribute(
  name: string,
  type: Attribute['type'],
  description: string,
  rest: Partial<Attribute> = {},
): Attribute {
  return { ...described, name, type, description, ...rest };
}

/** Attributes that every resource has (RFC 7643 section 3.1); no schema lists them. */
export const commonAttributes: readonly Attribute[] = [
  attribute('schemas', 'reference', 'URNs of the schemas of this resource', {
    multiValued: true,
    returned: 'always',
    caseExact: true,
  }),
  attribute('id', 'string', 'Identifier that the service gave', {
    mutability: 'readOnly',
    returned: 'always',
    uniqueness: 'server',
    caseExact: true,
  }),
  attribute('externalId', 'string', 'Identifier that the client gave', { caseExact: true }),
  attribute('meta', 'complex', 'What the service says about the resource', {
    mutability: 'readOnly',
    subAttributes: [
      attribute('resourceType', 'string', 'Kind of the resource', {
        mutability: 'readOnly',
        caseExact: true,
      }),
      attribute('created', 'dateTime', 'When it was made', { mutability: 'readOnly' }),
      attribute('lastModified', 'dateTime', 'When it was last changed', { mutability: 'readOnly' }),
      attribute('location', 'reference', 'URL of the resource', { mutability: 'readOnly', caseExact: true }),
      attribute('version', 'string', 'Weak entity tag', { mutability: 'readOnly', caseExact: true }),
    ],
  }),
];

/** Of the library, as plain data: its own objects change what is assigned to them. */
function fromLibrary(definition: Types.SchemaDefinition): Schema {
  const { id, name, description, attributes } = JSON.parse(JSON.stringify(definition.describe(''))) as Schema;
  return {
    id,
    name: name === 'EnterpriseUser' ? 'Enterprise User' : name,
    description,
    attributes: attributes.map(complete),
  };
}

/** `active` alone may be missing among what the library writes of an attribute. */
function complete(partial: Attribute): Attribute {
  const subAttributes = (partial.subAttributes ?? []).map(complete);
  return { ...described, ...partial, subAttributes };
}

const readOnly = { mutability: 'readOnly' } as const;
/** Of what strict clients need not know: shown to whoever asks for it by name. */
const onRequest = { ...readOnly, returned: 'request' } as const;

const bullaUser: Schema = {
  id: 'urn:bulla:scim:schemas:2.0:User',
  name: 'Bulla User',
  description: 'What the trust log says about a person',
  attributes: [
    attribute('status', 'string', 'Standing of the person in the trust log', {
      ...onRequest,
      caseExact: true,
      canonicalValues: ['pending', 'active', 'suspended', 'deprovisioned'],
    }),
    attribute('assurance', 'string', 'Who confirmed the key of the person', {
      ...onRequest,
      caseExact: true,
    }),
    attribute('agents', 'integer', 'Number of agents that the person answers for', onRequest),
  ],
};

const bullaGroup: Schema = {
  id: 'urn:bulla:scim:schemas:2.0:Group',
  name: 'Bulla Group',
  description: 'What a group means in the trust log',
  attributes: [
    attribute(
      'trustLogGroup',
      'string',
      'Group of the trust log that members are put into; absent: it grants nothing',
      {
        ...onRequest,
        caseExact: true,
      },
    ),
  ],
};

const agent: Schema = {
  id: 'urn:bulla:scim:schemas:2.0:Agent',
  name: 'Agent',
  description: 'A program that acts on behalf of a person who answers for it',
  attributes: [
    attribute('displayName', 'string', 'What people call the agent', { required: true }),
    attribute('owner', 'complex', 'The person who answers for the agent; fixed once they adopted it', {
      subAttributes: [
        attribute('value', 'string', 'Id of the User', {
          required: true,
          caseExact: true,
        }),
        attribute('$ref', 'reference', 'URL of the User', {
          referenceTypes: ['User'],
          caseExact: true,
        }),
        attribute('display', 'string', 'Name of the User', readOnly),
      ],
    }),
    attribute('kind', 'string', '`autonomous`, or `interactive` where a person sits in front of it', {
      mutability: 'immutable',
      caseExact: true,
      canonicalValues: ['autonomous', 'interactive'],
    }),
    attribute('active', 'boolean', 'False suspends the agent'),
    attribute('status', 'string', '`pending`: a proposal that its owner has not adopted, without authority', {
      ...readOnly,
      caseExact: true,
      canonicalValues: ['pending', 'active', 'suspended'],
    }),
    attribute('keys', 'complex', 'Live keys of the agent', {
      ...readOnly,
      multiValued: true,
      subAttributes: [
        attribute('value', 'string', 'RFC 7638 thumbprint', { ...readOnly, caseExact: true }),
        attribute('type', 'string', 'Curve', { ...readOnly, caseExact: true }),
      ],
    }),
  ],
};

/** People: RFC 7643 sections 4.1 and 4.3. */
export const userType: ResourceType = {
  name: 'User',
  endpoint: '/Users',
  description: 'A person in the trust log',
  schema: fromLibrary(Schemas.User.definition),
  extensions: [fromLibrary(Schemas.EnterpriseUser.definition)],
  standing: [bullaUser],
};

/** RFC 7643 section 8.7.1 has no `display` of members: it would be a name that a client made up. */
function withoutDisplay(schema: Schema): Schema {
  const attributes = schema.attributes.map((each) => ({
    ...each,
    subAttributes: each.subAttributes.filter(({ name }) => name !== 'display'),
  }));
  return { ...schema, attributes };
}

/** Groups of people: RFC 7643 section 4.2. */
export const groupType: ResourceType = {
  name: 'Group',
  endpoint: '/Groups',
  description: 'People, and what the trust log makes of them',
  schema: withoutDisplay(fromLibrary(Schemas.Group.definition)),
  extensions: [],
  standing: [bullaGroup],
};

/** Agents, and proposals of agents. */
export const agentType: ResourceType = {
  name: 'Agent',
  endpoint: '/Agents',
  description: agent.description,
  schema: agent,
  extensions: [],
  standing: [],
};

export const resourceTypes: readonly ResourceType[] = [userType, groupType, agentType];

/** Every schema that `/Schemas` shows. */
export const schemas: readonly Schema[] = [
  ...resourceTypes.flatMap(({ schema, extensions, standing }) => [schema, ...extensions, ...standing]),
  fromLibrary(Schemas.ServiceProviderConfig.definition),
  fromLibrary(Schemas.ResourceType.definition),
];

/** Attribute names are compared without regard to case: RFC 7643 section 2.1. */
export function findAttribute(attributes: readonly Attribute[], name: string): Attribute | undefined {
  const wanted = name.toLowerCase();
  return attributes.find((candidate) => candidate.name.toLowerCase() === wanted);
}

/** The extension with this URN, compared without regard to case. */
export function findExtension(type: ResourceType, urn: string): Schema | undefined {
  const wanted = urn.toLowerCase();
  return type.extensions.find(({ id }) => id.toLowerCase() === wanted);
}
