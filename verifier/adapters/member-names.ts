/**
 * Throws for a member named `__proto__`, at any depth. To whoever reads an object it is one more member; copied by assignment
 * (`Object.assign({}, input)`) it is the prototype, and what stands in it is read under names that a row did not find.
 *
 * @param text what `value` was parsed from: looked through first, since hardly any has the name.
 * @throws {TypeError}
 */
export function requirePlainNames(value: unknown, text: string): void {
  if (text.includes('__proto__') || text.includes(String.raw`\u`)) walk(value);
}

function walk(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Object.hasOwn(value, '__proto__')) throw new TypeError('content has a member `__proto__`');
  for (const item of Object.values(value)) walk(item);
}
