import { hash } from 'node:crypto';
import type { Change, Operation, Read, Records } from '@bulla/verifier/log';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import type { Plan } from '../log/plan.ts';
import { secretHash } from '../secrets.ts';
import { addRow, type RowWrite, removeRows } from '../store/table.ts';
import { type ApiCallRow, apiCalls } from '../store/users-api.ts';
import type { Caller, ChangeEndpoint, PlannedChange, RawCall, ReadEndpoint } from './endpoint.ts';
import type { UsersApi } from './users-api.ts';

interface Call<Each> {
  readonly endpoint: Each;
  readonly caller: Caller;
  readonly raw: RawCall;
}

/** Answers a look-up. Nothing is shown that is not remembered. */
export async function runRead(
  { store }: Account,
  api: UsersApi,
  { endpoint, caller, raw }: Call<ReadEndpoint>,
): Promise<object> {
  const { target, answer } = endpoint.prepare(raw);
  const body = await answer();
  const facts = { client: caller.client.id, operation: endpoint.operationId, target, dryRun: false };
  await store.writeRows(api.trail.rows({ ...facts, status: 200, code: null, entry: null }));
  return body;
}

interface ChangeAnswer {
  readonly body: object;
  /** Whether this is the answer of an earlier call with the same idempotency key. */
  readonly replayed: boolean;
}

const keySeconds = 86_400;
const keyForm = /^[\u0021-\u007e]{1,128}$/u;

/**
 * Makes a change: its entry, what is remembered of the call and the answer under its idempotency key become durable in one
 * transaction. A second call with the key, at once or after a crash, waits for the first and gets its answer; a call that was
 * refused changed nothing, so its key is free. A dry run is checked by the same rules and writes nothing but that it was made.
 *
 * @throws {IssuerRefusal} `idempotency_key_invalid`, `idempotency_key_reused`, `target_unknown`.
 * @throws {Refusal} what the rules of the log say.
 */
export async function runChange(
  account: Account,
  api: UsersApi,
  call: Call<ChangeEndpoint> & { readonly idempotencyKey: string | undefined },
): Promise<ChangeAnswer> {
  const change = call.endpoint.prepare(call.raw);
  const key = readKey(call.idempotencyKey);
  return change.dryRun
    ? { body: await rehearse(account, api, call, change), replayed: false }
    : writeOnce(account, api, call, change, key);
}

async function rehearse(
  { log, store }: Account,
  api: UsersApi,
  call: Call<ChangeEndpoint>,
  change: PlannedChange,
): Promise<object> {
  let before: Read = log.read;
  const changes = await log.rehearse(api.signer, (read) => {
    before = read;
    return { ops: opsOf(change.plan(read)) };
  });
  const made = { changed: changes.length > 0, dryRun: true, entry: null, before };
  const body = change.answer(readAfter(before, changes), made);
  await store.writeRows(api.trail.rows(factsOf(call, change, null)));
  return body;
}

async function writeOnce(
  { log, store, ports }: Account,
  api: UsersApi,
  call: Call<ChangeEndpoint>,
  change: PlannedChange,
  key: string | undefined,
): Promise<ChangeAnswer> {
  let answer: ChangeAnswer | undefined;
  const client = call.caller.client.id;
  const request = requestDigest(call);
  const plan = async (read: Read): Promise<Plan> => {
    const now = Math.floor(ports.now());
    const known = key === undefined ? undefined : await store.first(apiCalls, { client, key });
    if (known !== undefined && known.notAfter > now) {
      answer = { body: replay(known, request), replayed: true };
      return { ops: [], rows: () => api.trail.rows(factsOf(call, change, null)) };
    }
    return {
      ops: opsOf(change.plan(read)),
      rows: (changes) => {
        const entry = changes[0]?.seq ?? null;
        const made = { changed: entry !== null, dryRun: false, entry, before: read };
        const body = change.answer(readAfter(read, changes), made);
        answer = { body, replayed: false };
        const row = { client, request, body: JSON.stringify(body), notAfter: now + keySeconds };
        return [
          ...(key === undefined ? [] : keep({ ...row, key }, known)),
          ...api.trail.rows(factsOf(call, change, entry)),
        ];
      },
    };
  };
  await writeAgain(async () => log.write(api.signer, plan));
  if (answer === undefined) throw new IssuerRefusal('internal', 'write has made no answer');
  return answer;
}

/** Another process may have taken the key between look and write: then its answer is there on the second look. */
async function writeAgain(write: () => Promise<unknown>): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (!(error instanceof IssuerRefusal) || error.code !== 'row_taken') throw error;
    await write();
  }
}

function keep(row: ApiCallRow, expired: ApiCallRow | undefined): RowWrite[] {
  const { client, key } = row;
  return [...(expired === undefined ? [] : [removeRows(apiCalls, { client, key })]), addRow(apiCalls, row)];
}

function replay({ request, body }: ApiCallRow, asked: string): object {
  if (request !== asked) {
    throw new IssuerRefusal('idempotency_key_reused', '`Idempotency-Key` was used for another call');
  }
  return JSON.parse(body) as object;
}

/** Of the caller's own choice; only its hash is kept. */
function readKey(key: string | undefined): string | undefined {
  if (key === undefined) return undefined;
  if (!keyForm.test(key)) {
    throw new IssuerRefusal(
      'idempotency_key_invalid',
      '`Idempotency-Key` is not 1 to 128 visible characters',
    );
  }
  return secretHash(key);
}

function requestDigest({ endpoint, raw }: Call<ChangeEndpoint>): string {
  const query = Object.entries(raw.query).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify([endpoint.operationId, raw.path, query]), 'base64url');
}

function factsOf(
  { caller, endpoint }: Call<ChangeEndpoint>,
  { target, dryRun }: PlannedChange,
  entry: number | null,
) {
  const operation = endpoint.operationId;
  return { client: caller.client.id, operation, target, dryRun, status: 200, code: null, entry };
}

function opsOf(operation: Operation | undefined): readonly Operation[] {
  return operation === undefined ? [] : [operation];
}

function readAfter(before: Read, changes: readonly Change[]): Read {
  const written = new Map(changes.flatMap(({ writes }) => [...writes]));
  return <K extends keyof Records>(key: K) => (written.get(key) ?? before(key)) as Records[K] | undefined;
}
