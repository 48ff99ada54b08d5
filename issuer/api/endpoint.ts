import type { Operation, Read } from '@bulla/verifier/log';
import type { z } from 'zod';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import type { ApiClientConfig } from './config.ts';
import { type CursorScope, readCursor, writeCursor } from './cursor.ts';
import type { ApiScope } from './scopes.ts';

/** Who calls, known by a live access token. */
export interface Caller {
  readonly client: ApiClientConfig;
  readonly scopes: ReadonlySet<ApiScope>;
}

/** A call whose parameters have the form that the endpoint demands. */
export interface ApiCall<Path, Query> {
  readonly account: Account;
  readonly caller: Caller;
  readonly path: Path;
  readonly query: Query;
}

/** The same as it came in. */
export type RawCall = ApiCall<Readonly<Record<string, string>>, Readonly<Record<string, string>>>;

/** What an endpoint says of itself: the server and the OpenAPI document are both made of it. */
interface EndpointFacts<Path extends z.ZodObject, Query extends z.ZodObject> {
  readonly operationId: string;
  /** Below `/a/<account>/api/v1`, parameters in braces. */
  readonly path: string;
  readonly scope: ApiScope;
  readonly summary: string;
  readonly description?: string;
  readonly pathSchema: Path;
  readonly querySchema: Query;
  readonly answer: z.ZodType;
}

/** Looks something up. `target`: what the audit names, `principal/<id>`, `agent/<id>` or `key/<thumbprint>`. */
export interface ReadEndpoint extends EndpointFacts<z.ZodObject, z.ZodObject> {
  readonly method: 'GET';
  prepare(call: RawCall): { readonly target: string | null; readonly answer: () => Promise<object> };
}

/** What a change would do to the state that `read` shows. */
export interface PlannedChange {
  readonly target: string;
  readonly dryRun: boolean;
  /** One entry; undefined: it is so already. @throws {IssuerRefusal} `target_unknown`. */
  plan(read: Read): Operation | undefined;
  /** `read`: the state after it. */
  answer(read: Read, made: MadeChange): object;
}

interface MadeChange {
  readonly changed: boolean;
  readonly dryRun: boolean;
  /** Seq of the entry. */
  readonly entry: number | null;
  /** The state before. */
  readonly before: Read;
}

/** Changes something, or says what it would change. */
export interface ChangeEndpoint extends EndpointFacts<z.ZodObject, z.ZodObject> {
  readonly method: 'POST';
  prepare(call: RawCall): PlannedChange;
}

export type Endpoint = ReadEndpoint | ChangeEndpoint;

type Parsed<Path extends z.ZodObject, Query extends z.ZodObject> = ApiCall<z.output<Path>, z.output<Query>>;

/** @param read `target`: null for a list. */
export function readEndpoint<Path extends z.ZodObject, Query extends z.ZodObject>(
  facts: EndpointFacts<Path, Query>,
  targetOf: ((path: z.output<Path>) => string) | null,
  read: (call: Parsed<Path, Query>) => Promise<object>,
): ReadEndpoint {
  return {
    ...facts,
    method: 'GET',
    prepare: (raw) => {
      const call = parseCall(facts, raw);
      return { target: targetOf?.(call.path) ?? null, answer: async () => read(call) };
    },
  };
}

export function changeEndpoint<Path extends z.ZodObject, Query extends z.ZodObject>(
  facts: EndpointFacts<Path, Query>,
  change: (call: Parsed<Path, Query>) => PlannedChange,
): ChangeEndpoint {
  return { ...facts, method: 'POST', prepare: (raw) => change(parseCall(facts, raw)) };
}

/** @throws {IssuerRefusal} `target_unknown` for an id of another form, `parameter_invalid` naming the parameter. */
function parseCall<Path extends z.ZodObject, Query extends z.ZodObject>(
  { pathSchema, querySchema }: EndpointFacts<Path, Query>,
  raw: RawCall,
): Parsed<Path, Query> {
  const path = pathSchema.safeParse(raw.path);
  if (!path.success) throw new IssuerRefusal('target_unknown', 'no such person, agent or key');
  const query = querySchema.safeParse(raw.query);
  if (!query.success) {
    const [issue] = query.error.issues;
    const known = issue?.code === 'unrecognized_keys' ? undefined : issue?.path[0];
    throw new IssuerRefusal(
      'parameter_invalid',
      known === undefined ? 'query has an unknown parameter' : `\`${String(known)}\` is not acceptable`,
    );
  }
  return { ...raw, path: path.data, query: query.data };
}

function placeOf(position: string): number {
  if (!/^\d{1,15}$/u.test(position))
    throw new IssuerRefusal('cursor_invalid', 'cursor is not one of this list');
  return Number(position);
}

interface Page {
  readonly items: readonly object[];
  readonly next: string | null;
}

/**
 * One page of a list that only grows. The cursor is a place in it, so that a page is neither skipped nor repeated, whatever
 * comes or goes meanwhile.
 */
export async function pageOf<Item>(
  {
    account,
    caller,
    query,
  }: ApiCall<unknown, { readonly cursor?: string | undefined; readonly limit: number }>,
  operation: string,
  ids: readonly string[],
  { pick, show }: { pick: (id: string) => Item | undefined; show: (item: Item) => Promise<object> },
): Promise<Page> {
  const scope: CursorScope = { account: account.log.account, client: caller.client.id, operation, query };
  let at = query.cursor === undefined ? 0 : placeOf(readCursor(scope, query.cursor));
  const items: Item[] = [];
  for (; at < ids.length && items.length < query.limit; at += 1) {
    const item = pick(ids[at] ?? '');
    if (item !== undefined) items.push(item);
  }
  const more = ids.slice(at).some((id) => pick(id) !== undefined);
  return {
    items: await Promise.all(items.map(show)),
    next: more ? writeCursor(scope, String(at)) : null,
  };
}
