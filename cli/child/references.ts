import { CliError } from '../errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const reference = /^bulla:\/\/([^/?#@\\\s]+)((?:\/[A-Za-z0-9\-._~!$&'()*+,;=:@%]*)*)$/u;

/**
 * Turns each variable whose value is `bulla://<host>[/path]` into a handle: the base URL under which the helper stands for
 * that API. A reference is the whole value, or it is refused; other values pass unread but for this word.
 *
 * @param handle base URL for a host; undefined for a host that is not among the audiences.
 * @throws {CliError} `reference_invalid`, `reference_unknown`: they name the variable, and no value.
 */
export function resolveReferences(
  env: Environment,
  handle: (host: string) => string | undefined,
): Readonly<Record<string, string>> {
  const resolved: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    resolved[name] = /bulla:\/\//iu.test(value) ? resolveOne(name, value, handle) : value;
  }
  return resolved;
}

function resolveOne(name: string, value: string, handle: (host: string) => string | undefined): string {
  const [, host = '', path = ''] = reference.exec(value.trim()) ?? [];
  if (host === '') {
    throw new CliError('reference_invalid', `\`${name}\` holds something that is not a reference`, {
      hint: 'a reference is the whole value: bulla://<host of an audience>[/path]',
    });
  }
  const base = handle(host);
  if (base !== undefined) return base + path;
  throw new CliError('reference_unknown', `\`${name}\` refers to a host that is not among the audiences`, {
    hint: 'name its audience with --audience, or correct the reference',
  });
}
