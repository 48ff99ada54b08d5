import type { SchemaModel, Type } from './schema.ts';

type Shape =
  | 'String'
  | 'Long'
  | { readonly set: 'String' }
  | { readonly optional: 'String' }
  /** A record of Longs with any names. */
  | 'Counts'
  | Readonly<Record<string, 'String' | 'Long'>>;

const shapes: Readonly<Record<string, Shape>> = {
  agent: { id: 'String', kind: 'String', registeredBy: 'String' },
  key: 'String',
  federated: { optional: 'String' },
  depth: 'Long',
  actors: { set: 'String' },
  time: { epochSeconds: 'Long', hour: 'Long', minute: 'Long', weekday: 'Long' },
  request: { method: 'String', path: 'String' },
  approvals: 'Counts',
  assurance: 'String',
};

/** Attributes that not every request has. */
const absentWhen: Readonly<Record<string, string>> = {
  agent: 'a person acts',
  federated: 'no outside token is carried',
};

/** Reserved context attributes that the schema declares in a way the verifier cannot fill: each would deny always. */
export function reservedTypeProblems(schema: SchemaModel): readonly string[] {
  const problems: string[] = [];
  for (const action of schema.actions.values()) {
    for (const [name, shape] of Object.entries(shapes)) {
      const attribute = action.appliesTo?.context.attributes.get(name);
      if (attribute === undefined) continue;
      if (!fits(attribute.type, shape)) {
        problems.push(
          `\`${name}\` in the context of \`${action.id}\` has another type than the verifier fills in`,
        );
      }
      const absent = absentWhen[name];
      if (absent !== undefined && attribute.required) {
        problems.push(
          `\`${name}\` in the context of \`${action.id}\` is required, but absent when ${absent}`,
        );
      }
    }
  }
  return problems;
}

function fits(type: Type, shape: Shape): boolean {
  if (shape === 'Counts') {
    return (
      type.kind === 'Record' && [...type.attributes.values()].every((count) => count.type.kind === 'Long')
    );
  }
  if (typeof shape === 'string') return type.kind === shape;
  if ('set' in shape) return type.kind === 'Set' && type.element.kind === shape['set'];
  if (type.kind !== 'Record') return false;
  if ('optional' in shape) {
    return [...type.attributes.values()].every(
      (attribute) => !attribute.required && attribute.type.kind === shape['optional'],
    );
  }
  for (const [name, attribute] of type.attributes) {
    if (shape[name] === undefined ? attribute.required : attribute.type.kind !== shape[name]) return false;
  }
  return true;
}
