/** RFC 9110 section 7.6.1, and what stood for the same before it. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** What the helper writes itself. A child that brings a credential of its own does not smuggle it along. */
const written = new Set(['authorization', 'content-length', 'dpop', 'expect', 'host']);

export type Fields = Readonly<Record<string, string[]>>;

/** Field lines of a child's request that go on to the API, in lower case, repeated ones kept. */
export function requestFields(rawHeaders: readonly string[]): Fields {
  return fieldsWithout(rawHeaders, (name) => written.has(name));
}

/** Field lines of the API's answer that go back to the child. A nonce is for the one who proves. */
export function responseFields(rawHeaders: readonly string[]): Fields {
  return fieldsWithout(rawHeaders, (name) => name === 'dpop-nonce');
}

function fieldsWithout(rawHeaders: readonly string[], drop: (name: string) => boolean): Fields {
  const lines = pairs(rawHeaders);
  const named = new Set(
    lines
      .filter(([name]) => name === 'connection')
      .flatMap(([, value]) => value.split(',').map((option) => option.trim().toLowerCase())),
  );
  const fields: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of lines) {
    if (!hopByHop.has(name) && !named.has(name) && !drop(name)) (fields[name] ??= []).push(value);
  }
  return fields;
}

function pairs(rawHeaders: readonly string[]): (readonly [string, string])[] {
  return rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1] ?? ''] as const] : [],
  );
}
