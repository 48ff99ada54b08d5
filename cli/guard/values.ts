import { Refusal } from '@bulla/verifier';
import type { MappedRequest } from '@bulla/verifier/adapter';
import { isJsonObject } from '@bulla/verifier/envelope';
import { folded, parsePointer, readJsonContent, resolvePointer } from './content.ts';
import { invalid } from './fields.ts';

/** A request of which a row reads several values: its content is parsed once. */
export class Source {
  readonly request: MappedRequest;
  #content: { readonly value: unknown } | undefined;

  constructor(request: MappedRequest) {
    this.request = request;
  }

  /** @throws {Refusal} `route_input_invalid`. */
  get content(): unknown {
    this.#content ??= { value: readJsonContent(this.request.body) };
    return this.#content.value;
  }

  /** @throws {Refusal} `route_input_invalid` unless there is exactly one, in every common reading of a query. */
  query(name: string): string {
    const { query } = this.request;
    const alike = [...query.keys()].filter((key) => parameterName(key) === parameterName(name));
    const value = query.get(name);
    // Some frameworks split at `;` too.
    const halves = [...query].some(([key, text]) => `${key}${text}`.includes(';'));
    if (value === null || alike.length !== 1 || halves) {
      throw new Refusal(
        'route_input_invalid',
        'query lacks a parameter that the route needs, or is read in several ways',
      );
    }
    return value;
  }

  /** @throws {Refusal} `route_input_invalid` where it was not sent. */
  header(name: string): string {
    const value = this.request.header(name);
    if (value === undefined)
      throw new Refusal('route_input_invalid', 'a header field that the route needs is missing');
    return value;
  }
}

/** A name without what parsers fold away: case; PHP also leading spaces, `[…` and the difference of ` `, `.` and `_`. */
function parameterName(key: string): string {
  const [name = ''] = key.trimStart().split(/[[\0]/u, 1);
  return folded(name).replaceAll(/[ .]/gu, '_');
}

/** Makes one value of the question from a request. */
export type Reader = (source: Source) => unknown;

/** What the templates of one row may refer to. */
export interface Scope {
  readonly params: ReadonlySet<string>;
  readonly bindHeaders: ReadonlySet<string>;
  /** Set where a template reads the content: the row then demands JSON. */
  readsContent: boolean;
}

const reference = /^(?<integer>integer:)?(?<kind>json|query|header|literal):(?<rest>[^]*)$/u;
const parameterMark = /\{(?<name>[^{}]*)\}/gu;

/**
 * Compiles a template: `json:<pointer>`, `query:<name>`, `header:<name>` (one of `bindHeaders`), `literal:<text>`, a text with `{param}`,
 * any other JSON value as it is; objects and arrays member by member. `integer:` before `query:`, `header:` or a text with
 * parameters reads a decimal integer, which Cedar wants for Long.
 *
 * @throws {CliError} `guard_config_invalid` naming the field.
 */
export function compileValue(template: unknown, at: string, scope: Scope): Reader {
  if (typeof template === 'string') return compileText(template, at, scope);
  if (Array.isArray(template)) {
    const readers = template.map((item, index) => compileValue(item, `${at}[${index}]`, scope));
    return (source) => readers.map((read) => read(source));
  }
  if (isJsonObject(template)) {
    const readers = Object.entries(template).map(
      ([name, member]) => [name, compileValue(member, `${at}.${name}`, scope)] as const,
    );
    return (source) => Object.fromEntries(readers.map(([name, read]) => [name, read(source)]));
  }
  if (template === undefined || template === null) throw invalid(at, 'has no value');
  return () => template;
}

function compileText(template: string, at: string, scope: Scope): Reader {
  const groups = reference.exec(template)?.groups;
  const whole = groups?.['integer'] !== undefined;
  const rest = groups?.['rest'] ?? '';
  switch (groups?.['kind']) {
    case 'json': {
      if (whole) throw invalid(at, 'reads a number from JSON without `integer:`');
      const tokens = parsePointer(rest);
      if (tokens === undefined) throw invalid(at, 'is not a JSON pointer (RFC 6901)');
      scope.readsContent = true;
      return (source) => resolvePointer(source.content, tokens);
    }
    case 'query':
      if (rest === '') throw invalid(at, 'names no query parameter');
      return whole ? (source) => toInteger(source.query(rest)) : (source) => source.query(rest);
    case 'header':
      if (!scope.bindHeaders.has(rest.toLowerCase()))
        throw invalid(at, 'names a field that is not in `bindHeaders`');
      return whole ? (source) => toInteger(source.header(rest)) : (source) => source.header(rest);
    case 'literal':
      if (whole) throw invalid(at, 'writes a number without `integer:`');
      return () => rest;
    default:
      return compileParameters(template, at, scope);
  }
}

function compileParameters(template: string, at: string, scope: Scope): Reader {
  const whole = template.startsWith('integer:');
  const text = whole ? template.slice('integer:'.length) : template;
  const names = [...text.matchAll(parameterMark)].map(({ groups }) => groups?.['name'] ?? '');
  const unknown = names.find((name) => !scope.params.has(name));
  if (unknown !== undefined) throw invalid(at, `refers to \`{${unknown}}\`, which the path does not have`);
  if (whole && names.length === 0) throw invalid(at, 'writes a number without `integer:`');
  if (names.length === 0) return () => text;
  const read = ({ request }: Source): string =>
    text.replaceAll(parameterMark, (_, name: string) => request.param(name));
  return whole ? (source) => toInteger(read(source)) : read;
}

function toInteger(text: string): number {
  const value = Number(text);
  if (!/^(?:0|-?[1-9]\d{0,15})$/u.test(text) || !Number.isSafeInteger(value)) {
    throw new Refusal('route_input_invalid', 'a value that the route needs is not a whole number');
  }
  return value;
}
