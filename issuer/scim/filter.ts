import type { Json } from '@bulla/verifier/envelope';
import { type AttributePath, resolvePath } from './path.ts';
import { refuse } from './refuse.ts';
import type { Attribute, ResourceType } from './schema.ts';

export type Comparator = 'eq' | 'ne' | 'co' | 'sw' | 'ew' | 'gt' | 'ge' | 'lt' | 'le';
type FilterValue = string | number | boolean | null;

/** A filter whose names are resolved: RFC 7644 section 3.4.2.2. */
export type Filter =
  | { readonly op: 'and' | 'or'; readonly left: Filter; readonly right: Filter }
  | { readonly op: 'not'; readonly filter: Filter }
  | { readonly op: 'pr'; readonly path: AttributePath }
  | { readonly op: 'has'; readonly path: AttributePath; readonly filter: Filter }
  | {
      readonly op: 'compare';
      readonly path: AttributePath;
      readonly comparator: Comparator;
      readonly value: FilterValue;
    };

/** Clients ask for one name or id; what is longer or deeper than this is an attack, or a mistake. */
const maxFilterLength = 4096;
const maxFilterTerms = 64;
const maxFilterDepth = 16;

const comparators = new Set<string>(['eq', 'ne', 'co', 'sw', 'ew', 'gt', 'ge', 'lt', 'le']);
const token = /\s*(?:([()[\]])|("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|([^\s()[\]"]+))/uy;

interface Token {
  readonly kind: 'mark' | 'string' | 'word';
  readonly text: string;
}

/**
 * Parses a filter. Names of attributes and operators are compared without regard to case; a value is JSON, or one bare
 * word, which is read as a string (Okta's own suite sends it).
 *
 * @throws {IssuerRefusal} `scim_filter_invalid`; the message quotes nothing of the filter.
 */
export function parseFilter(type: ResourceType, text: string): Filter {
  const resolve = (name: string) => {
    const path = resolvePath(type, name);
    return path?.attribute === undefined ? undefined : path;
  };
  return new Parser(tokens(text), resolve).whole();
}

/** A filter over the values of one attribute: what stands between `[` and `]`. @throws {IssuerRefusal} `scim_filter_invalid`. */
export function parseValueFilter(attribute: Attribute, text: string): Filter {
  return new Parser(tokens(text), inside(attribute)).whole();
}

function inside({ subAttributes }: Attribute) {
  return (name: string): AttributePath | undefined => {
    const sub = subAttributes.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    return sub && { attribute: sub };
  };
}

function tokens(text: string): readonly Token[] {
  if (text.length > maxFilterLength) throw invalid(`filter is over ${maxFilterLength} characters`);
  const found: Token[] = [];
  token.lastIndex = 0;
  const end = text.trimEnd().length;
  while (token.lastIndex < end) {
    const match = token.exec(text);
    if (match === null) throw invalid('filter has a malformed string');
    const [, mark, quoted, word] = match;
    if (mark !== undefined) found.push({ kind: 'mark', text: mark });
    else if (quoted !== undefined) found.push({ kind: 'string', text: quoted });
    else found.push({ kind: 'word', text: word ?? '' });
  }
  return found;
}

function invalid(message: string): Error {
  return refuse('scim_filter_invalid', message);
}

/** Recursive descent: `or` binds looser than `and`, `not` needs parentheses. */
class Parser {
  readonly #tokens: readonly Token[];
  #resolve: (name: string) => AttributePath | undefined;
  #next = 0;
  #terms = 0;
  #depth = 0;

  constructor(all: readonly Token[], resolve: (name: string) => AttributePath | undefined) {
    this.#tokens = all;
    this.#resolve = resolve;
  }

  whole(): Filter {
    const filter = this.#or();
    if (this.#next < this.#tokens.length) throw invalid('filter goes on after its end');
    return filter;
  }

  #or(): Filter {
    let left = this.#and();
    while (this.#takeWord('or')) left = { op: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Filter {
    let left = this.#term();
    while (this.#takeWord('and')) left = { op: 'and', left, right: this.#term() };
    return left;
  }

  #term(): Filter {
    if (++this.#terms > maxFilterTerms) throw invalid(`filter has over ${maxFilterTerms} terms`);
    const after = this.#tokens[this.#next + 1];
    if (after?.kind === 'mark' && after.text === '(' && this.#takeWord('not')) {
      this.#take('(');
      return { op: 'not', filter: this.#group(')') };
    }
    if (this.#takeMark('(')) return this.#group(')');
    const path = this.#path();
    return this.#takeMark('[') ? this.#values(path) : this.#comparison(path);
  }

  #group(end: ')' | ']'): Filter {
    if (++this.#depth > maxFilterDepth) throw invalid(`filter is nested over ${maxFilterDepth} deep`);
    const filter = this.#or();
    this.#take(end);
    this.#depth -= 1;
    return filter;
  }

  #path(): AttributePath {
    const current = this.#tokens[this.#next++];
    if (current?.kind !== 'word') throw invalid('filter lacks the name of an attribute');
    const path = this.#resolve(current.text);
    if (path === undefined) throw invalid('filter names an attribute that there is not');
    if (path.attribute?.returned === 'never') throw invalid('filter names an attribute that is not kept');
    return path;
  }

  #values(path: AttributePath): Filter {
    if (path.attribute?.type !== 'complex' || path.sub !== undefined) {
      throw invalid('filter looks into an attribute that has no parts');
    }
    const outer = this.#resolve;
    this.#resolve = inside(path.attribute);
    const filter = this.#group(']');
    this.#resolve = outer;
    return { op: 'has', path, filter };
  }

  #comparison(path: AttributePath): Filter {
    const word = this.#tokens[this.#next++];
    const comparator = word?.kind === 'word' ? word.text.toLowerCase() : '';
    if (comparator === 'pr') return { op: 'pr', path };
    if (!comparators.has(comparator)) throw invalid('filter has no operator where one is due');
    const value = this.#value();
    if (value === null && comparator !== 'eq' && comparator !== 'ne') throw invalid('null has no order');
    return { op: 'compare', path, comparator: comparator as Comparator, value };
  }

  #value(): FilterValue {
    const current = this.#tokens[this.#next++];
    if (current === undefined || current.kind === 'mark') throw invalid('filter lacks a value');
    if (current.kind === 'string') return JSON.parse(current.text) as string;
    const { text } = current;
    if (/^(?:true|false|null)$/iu.test(text)) return JSON.parse(text.toLowerCase()) as boolean | null;
    return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/u.test(text) ? Number(text) : text;
  }

  #takeWord(expected: string): boolean {
    const current = this.#tokens[this.#next];
    const matches = current?.kind === 'word' && current.text.toLowerCase() === expected;
    if (matches) this.#next += 1;
    return matches;
  }

  #takeMark(expected: string): boolean {
    const current = this.#tokens[this.#next];
    const matches = current?.kind === 'mark' && current.text === expected;
    if (matches) this.#next += 1;
    return matches;
  }

  #take(expected: '(' | ')' | ']'): void {
    if (!this.#takeMark(expected)) throw invalid(`filter lacks \`${expected}\``);
  }
}

/** Values that a filter demands to be equal, where it is nothing but such demands joined by `and`; else undefined. */
export function equalities(filter: Filter): ReadonlyMap<Attribute, Json> | undefined {
  if (filter.op === 'and') {
    const [left, right] = [equalities(filter.left), equalities(filter.right)];
    return left && right && new Map([...left, ...right]);
  }
  if (filter.op !== 'compare' || filter.comparator !== 'eq' || filter.path.attribute === undefined)
    return undefined;
  return new Map([[filter.path.attribute, filter.value]]);
}
