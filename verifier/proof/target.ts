import { Refusal } from '../errors.ts';

const pathBytes = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*$/u;
/** Visible ASCII without `#`: clients send `[`, `]` and `|` raw in queries, and the digest covers whatever was sent. */
const queryBytes = /^[\x21\x22\x24-\x7e]*$/u;
/** With a parameter it is one too: servers of Java drop `;…` and then resolve `..`. */
const dotSegment = /\/\.{1,2}(?:\/|;|%3b|$)/iu;
const escape = /%([0-9A-Fa-f]{2})?/gu;
const unreserved = /[A-Za-z0-9\-._~]/u;
const accessTokenParameter = /(?:^|[&;])access_token(?:=|[&;]|$)/iu;

/**
 * The path of a request or of an `htu`, made comparable: refused, not normalised, unless exactly one way to write it is
 * left. Percent-hex is folded to upper case, the only folding there is; case and trailing slash stay.
 *
 * @throws {Refusal} `request_target_invalid` for an empty or relative path, `//` at the start, dot segments (`..;a` too), bytes outside RFC 3986,
 * `%2F`, `%5C`, `%00`, encoded unreserved characters (so `%2e` too) and broken percent-encoding.
 */
export function canonicalPath(path: string): string {
  if (!pathBytes.test(path) || path.startsWith('//') || dotSegment.test(path)) {
    throw new Refusal('request_target_invalid', 'path is not canonical');
  }
  if (!path.includes('%')) return path;
  return path.replace(escape, (_, hex: string | undefined) => {
    const code = hex === undefined ? 0 : Number.parseInt(hex, 16);
    if (code === 0 || code === 0x2f || code === 0x5c || unreserved.test(String.fromCharCode(code))) {
      throw new Refusal('request_target_invalid', 'path has an escape with a second reading');
    }
    return `%${hex?.toUpperCase() ?? ''}`;
  });
}

/**
 * Splits a raw request-target. Only origin-form passes: absolute-form, authority-form and `*` do not start with `/`.
 *
 * @throws {Refusal} `request_target_invalid`; also for a query that carries `access_token` (RFC 6750 section 2.3), which would be a second capability.
 */
export function readTarget(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  const path = canonicalPath(mark < 0 ? target : target.slice(0, mark));
  const query = mark < 0 ? '' : target.slice(mark + 1);
  if (!queryBytes.test(query)) throw new Refusal('request_target_invalid', 'query has bytes that no URL has');
  if (accessTokenParameter.test(query)) {
    throw new Refusal('request_target_invalid', 'query carries an access token');
  }
  return { path, query };
}
