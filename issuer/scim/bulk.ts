import { isJsonObject, type Json, type JsonObject } from '@bulla/verifier/envelope';
import { errorAnswer, type ScimAnswer, type ScimRequest } from './message.ts';
import { member } from './patch.ts';
import { refuse } from './refuse.ts';

/** What one bulk request may hold; `/ServiceProviderConfig` says the same. */
export const bulkLimits = { maxOperations: 1000, maxPayloadBytes: 1_048_576 } as const;

const requestSchema = 'urn:ietf:params:scim:api:messages:2.0:BulkRequest';
const responseSchema = 'urn:ietf:params:scim:api:messages:2.0:BulkResponse';
const reference = /^bulkId:(.+)$/u;
const referenceInPath = /^(\/[^/]+\/)bulkId:(.+)$/u;

interface BulkOperation {
  readonly method: string;
  readonly bulkId: string | undefined;
  readonly path: string;
  readonly version: string | undefined;
  readonly data: JsonObject | undefined;
  /** `bulkId`s that this operation needs to be resolved. */
  readonly needs: ReadonlySet<string>;
}

/** Performs one operation as if it came alone; refusals are thrown. */
export type Perform = (request: ScimRequest) => Promise<ScimAnswer>;

/**
 * Runs a bulk request (RFC 7644 section 3.7): each operation alone, in order, but after those whose `bulkId` it names.
 * Resources that name each other are made without those references, which are then put in. After `failOnErrors` errors the
 * rest is not tried, and not in the answer. It is NOT one transaction: what succeeded stays.
 *
 * @throws {IssuerRefusal} `scim_syntax_invalid`, `scim_too_many`.
 */
export async function runBulk(body: JsonObject, perform: Perform): Promise<JsonObject> {
  const { operations, failOnErrors } = parseBulk(body);
  const run = new BulkRun(operations, perform);
  await run.all(failOnErrors);
  return { schemas: [responseSchema], Operations: run.results() };
}

function parseBulk(body: JsonObject): {
  readonly operations: readonly BulkOperation[];
  readonly failOnErrors: number;
} {
  const schemas = member(body, 'schemas');
  const list = member(body, 'operations');
  if (!Array.isArray(schemas) || !schemas.includes(requestSchema) || !Array.isArray(list)) {
    throw refuse('scim_syntax_invalid', 'body is no BulkRequest message');
  }
  if (list.length > bulkLimits.maxOperations) {
    throw refuse('scim_too_many', `over ${bulkLimits.maxOperations} operations`);
  }
  const failOnErrors = member(body, 'failOnErrors') ?? Number.MAX_SAFE_INTEGER;
  if (typeof failOnErrors !== 'number' || !Number.isSafeInteger(failOnErrors) || failOnErrors < 0) {
    throw refuse('scim_syntax_invalid', '`failOnErrors` is not a count');
  }
  const operations = (list as readonly Json[]).map(parseOperation);
  const ids = operations.flatMap(({ method, bulkId }) => (method === 'POST' ? (bulkId ?? []) : []));
  if (new Set(ids).size !== ids.length) throw refuse('scim_syntax_invalid', 'a `bulkId` is used twice');
  return { operations, failOnErrors: failOnErrors === 0 ? Number.MAX_SAFE_INTEGER : failOnErrors };
}

function parseOperation(operation: Json): BulkOperation {
  if (!isJsonObject(operation)) throw refuse('scim_syntax_invalid', 'operation is not an object');
  const [method, path] = [textOf(operation, 'method'), textOf(operation, 'path')];
  if (method === undefined || path === undefined) {
    throw refuse('scim_syntax_invalid', 'operation lacks `method` or `path`');
  }
  const data = member(operation, 'data') ?? undefined;
  if (data !== undefined && !isJsonObject(data))
    throw refuse('scim_syntax_invalid', '`data` is not an object');
  const needs = new Set<string>();
  const [, , inPath] = referenceInPath.exec(path) ?? [];
  if (inPath !== undefined) needs.add(inPath);
  if (data !== undefined) collect(data, needs);
  return {
    method: method.toUpperCase(),
    path,
    data,
    needs,
    bulkId: textOf(operation, 'bulkId'),
    version: textOf(operation, 'version'),
  };
}

function textOf(operation: JsonObject, name: string): string | undefined {
  const value = member(operation, name) ?? undefined;
  if (value !== undefined && typeof value !== 'string') {
    throw refuse('scim_syntax_invalid', `\`${name}\` is not a text`);
  }
  return value;
}

function collect(value: Json, needs: Set<string>): void {
  if (typeof value === 'string') {
    const [, id] = reference.exec(value) ?? [];
    if (id !== undefined) needs.add(id);
  } else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) collect(each, needs);
  }
}

class BulkRun {
  readonly #operations: readonly BulkOperation[];
  readonly #perform: Perform;
  readonly #ids = new Map<string, string>();
  readonly #made: ReadonlySet<string>;
  readonly #failed = new Set<string>();
  readonly #answers = new Map<BulkOperation, ScimAnswer>();
  #errors = 0;

  constructor(operations: readonly BulkOperation[], perform: Perform) {
    this.#operations = operations;
    this.#perform = perform;
    this.#made = new Set(
      operations.flatMap(({ method, bulkId }) => (method === 'POST' ? (bulkId ?? []) : [])),
    );
  }

  async all(failOnErrors: number): Promise<void> {
    const pending = new Set(this.#operations);
    const unfinished: BulkOperation[] = [];
    while (pending.size > 0 && this.#errors < failOnErrors) {
      const ready = [...pending].find((operation) => this.#isReady(operation));
      const next = ready ?? [...pending].find(({ method }) => method === 'POST') ?? [...pending][0];
      if (next === undefined) return;
      pending.delete(next);
      // Only among resources that name each other nothing is ready.
      if (ready === undefined && next.method === 'POST') unfinished.push(next);
      await this.#one(next, ready === undefined ? 'without' : 'with');
      await breath();
    }
    for (const operation of unfinished) {
      if (this.#errors >= failOnErrors) return;
      await this.#finish(operation);
      await breath();
    }
  }

  results(): readonly JsonObject[] {
    return this.#operations.flatMap((operation) => {
      const answer = this.#answers.get(operation);
      return answer === undefined ? [] : [describe(operation, answer)];
    });
  }

  /** A reference to what was not made, or is not in this request, is not waited for. */
  #isReady({ needs }: BulkOperation): boolean {
    return [...needs].every((id) => this.#ids.has(id) || this.#failed.has(id) || !this.#made.has(id));
  }

  async #one(operation: BulkOperation, references: 'with' | 'without'): Promise<void> {
    const { method, bulkId, path, data, version } = operation;
    try {
      if (method === 'POST' && bulkId === undefined)
        throw refuse('scim_syntax_invalid', 'POST lacks `bulkId`');
      if (!['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)) {
        throw refuse('scim_syntax_invalid', '`method` is none of POST, PUT, PATCH, DELETE');
      }
      const body = data && this.#resolve(data, references);
      const answer = await this.#perform({
        method,
        path: this.#resolvePath(path),
        query: new URLSearchParams(),
        body: body !== undefined && isJsonObject(body) ? body : undefined,
        ifMatch: version,
      });
      this.#answers.set(operation, brief(answer));
      const id = answer.body?.['id'];
      if (method === 'POST' && bulkId !== undefined && typeof id === 'string') this.#ids.set(bulkId, id);
    } catch (error) {
      this.#fail(operation, error);
    }
  }

  async #finish(operation: BulkOperation): Promise<void> {
    const { bulkId, data, path } = operation;
    const id = this.#ids.get(bulkId ?? '');
    if (id === undefined || data === undefined) return;
    try {
      const body = this.#resolve(data, 'with');
      const query = new URLSearchParams();
      const answer = await this.#perform({
        method: 'PUT',
        path: `${path}/${id}`,
        query,
        body: isJsonObject(body) ? body : undefined,
      });
      this.#answers.set(operation, { ...brief(answer), status: 201 });
    } catch (error) {
      this.#fail(operation, error);
    }
  }

  #fail(operation: BulkOperation, error: unknown): void {
    this.#answers.set(operation, errorAnswer(error));
    this.#errors += 1;
    if (operation.method === 'POST' && operation.bulkId !== undefined) this.#failed.add(operation.bulkId);
  }

  #resolvePath(path: string): string {
    const [, front, id] = referenceInPath.exec(path) ?? [];
    return front === undefined || id === undefined ? path : `${front}${this.#idOf(id)}`;
  }

  #idOf(bulkId: string): string {
    const id = this.#ids.get(bulkId);
    if (id === undefined) throw refuse('scim_reference_unknown', 'a `bulkId` names nothing that was made');
    return id;
  }

  /** `without`: values that name what is not made yet are left out. */
  #resolve(value: Json, references: 'with' | 'without'): Json {
    if (typeof value === 'string') {
      const [, id] = reference.exec(value) ?? [];
      return id === undefined ? value : this.#idOf(id);
    }
    if (typeof value !== 'object' || value === null) return value;
    const isLeftOut = (each: Json) =>
      references === 'without' && [...needsOf(each)].some((id) => this.#made.has(id) && !this.#ids.has(id));
    if (Array.isArray(value)) {
      const kept = (value as readonly Json[]).filter((each) => !isLeftOut(each));
      return kept.map((each) => this.#resolve(each, references));
    }
    const entries = Object.entries(value).flatMap(([name, each]): [string, Json][] => {
      // A list is thinned out, whatever else names what is not made is left out whole.
      if (!Array.isArray(each) && isLeftOut(each)) return [];
      return [[name, this.#resolve(each, references)]];
    });
    return Object.fromEntries(entries);
  }
}

/** Others get a word in: a thousand operations take seconds, and a suspension must not wait for them. */
async function breath(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** What the response tells of a success; a thousand whole groups are not kept until the end. */
function brief({ status, location, version }: ScimAnswer): ScimAnswer {
  return { status, location, version };
}

function needsOf(value: Json): ReadonlySet<string> {
  const needs = new Set<string>();
  collect(value, needs);
  return needs;
}

function describe({ method, bulkId }: BulkOperation, answer: ScimAnswer): JsonObject {
  const { status, location, version, body } = answer;
  return {
    method,
    ...(bulkId !== undefined && { bulkId }),
    ...(location !== undefined && { location }),
    ...(version !== undefined && { version }),
    status: String(status),
    ...(status >= 400 && body !== undefined && { response: body }),
  };
}
