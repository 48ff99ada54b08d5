import { type Attribute, commonAttributes, findAttribute, type ResourceType, type Schema } from './schema.ts';

/** Where a value is in a resource: RFC 7644 section 3.10. */
export interface AttributePath {
  /** Absent: an attribute of the core schema, or one that every resource has. */
  readonly extension?: Schema;
  /** Absent: the extension as a whole. */
  readonly attribute?: Attribute;
  readonly sub?: Attribute;
}

/**
 * Resolves `attribute`, `attribute.sub`, and both with a schema URN and a colon in front; or the URN of an extension alone.
 * Names are compared without regard to case.
 *
 * @returns undefined where the resource type has no such attribute.
 */
export function resolvePath(type: ResourceType, text: string): AttributePath | undefined {
  const lower = text.toLowerCase();
  for (const extension of [...type.extensions, ...type.standing]) {
    const urn = extension.id.toLowerCase();
    if (lower === urn) return { extension };
    if (lower.startsWith(`${urn}:`)) {
      const found = resolveNames(extension.attributes, text.slice(urn.length + 1));
      return found && { extension, ...found };
    }
  }
  const core = `${type.schema.id.toLowerCase()}:`;
  const names = lower.startsWith(core) ? text.slice(core.length) : text;
  return resolveNames([...type.schema.attributes, ...commonAttributes], names);
}

function resolveNames(
  attributes: readonly Attribute[],
  text: string,
): { attribute: Attribute; sub?: Attribute } | undefined {
  const [name = '', subName, ...rest] = text.split('.');
  const attribute = findAttribute(attributes, name);
  if (attribute === undefined || rest.length > 0) return undefined;
  if (subName === undefined) return { attribute };
  const sub = findAttribute(attribute.subAttributes, subName);
  return sub && { attribute, sub };
}
