import { limits, Refusal } from '@bulla/verifier';
import { isJsonObject } from '@bulla/verifier/envelope';
import {
  hashTile,
  parseTilePath,
  type TileName,
  tileFill,
  tileWidth,
  writeEntryBundle,
} from '@bulla/verifier/log';
import type { Context, Hono } from 'hono';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readJsonBody, requireText } from '../http/body.ts';
import type { FindAccount } from '../oauth/routes.ts';
import type { StoredCheckpoint } from '../store/store.ts';
import { type StreamLimits, streamLog } from './stream.ts';

/** An answer ends early rather than pass this by much; the follower asks on. */
const maxResponseBytes = 4_194_304;
const leavesPerRead = 64;
const maxRequestBodyBytes = 131_072;
const maxDocuments = 4;

export interface LogRouteLimits extends StreamLimits {
  readonly maxEntryBodyBytes: number;
}

/** The trust log of every account: docs/spec/issuer.md section 4. */
export function addLogRoutes(app: Hono, find: FindAccount, config: LogRouteLimits): void {
  app.get('/a/:account/log/checkpoint', (c) => {
    c.header('Cache-Control', 'no-store');
    return c.text(requireCheckpoint(find(c)).note);
  });
  app.get('/a/:account/log/entries', async (c) => entries(c, await reader(c, find)));
  app.get('/a/:account/log/stream', async (c) => {
    const account = find(c);
    const mayRead = await account.requireReader(c.req.header('authorization'));
    const from = readFrom(c, requireCheckpoint(account).size);
    return c.body(streamLog(account, from, config, mayRead), 200, ndjson);
  });
  app.get('/a/:account/log/tile/*', async (c) => tile(c, await reader(c, find)));
  app.get('/a/:account/policies/:digest', async (c) => policySet(c, await reader(c, find)));
  app.post('/a/:account/log/entries', async (c) => {
    const account = await reader(c, find);
    const { leaf, documents } = await readEntryBody(c, config.maxEntryBodyBytes);
    return c.json(await account.log.append(leaf, documents), 201);
  });
  app.post('/a/:account/log/requests', async (c) => {
    const account = await reader(c, find);
    const body = await readJsonBody(c, maxRequestBodyBytes, ['request']);
    return c.json(await account.log.relay(requireText(body['request'], 'request')), 201);
  });
}

const ndjson = {
  'Content-Type': 'application/x-ndjson',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
};

async function reader(c: Context, find: FindAccount): Promise<Account> {
  const account = find(c);
  await account.requireReader(c.req.header('authorization'));
  return account;
}

function requireCheckpoint({ log }: Account): StoredCheckpoint {
  const { checkpoint } = log;
  if (checkpoint === undefined)
    throw new IssuerRefusal('store_unavailable', 'no checkpoint could be signed yet');
  return checkpoint;
}

async function entries(c: Context, account: Account): Promise<Response> {
  const checkpoint = requireCheckpoint(account);
  const from = readFrom(c, checkpoint.size);
  const end = Math.min(checkpoint.size, from + limits.maxEntriesPerAnswer);
  const lines: string[] = [];
  let bytes = 0;
  while (from + lines.length < end && bytes < maxResponseBytes) {
    const next = from + lines.length;
    const leaves = await account.store.entries(next, Math.min(leavesPerRead, end - next));
    if (leaves.length === 0) throw new IssuerRefusal('store_corrupt', 'entries are missing from the log');
    for (const leaf of leaves) {
      lines.push(`${JSON.stringify({ leaf })}\n`);
      bytes += leaf.length;
    }
  }
  lines.push(`${JSON.stringify({ checkpoint: checkpoint.note })}\n`);
  return c.body(lines.join(''), 200, ndjson);
}

function readFrom(c: Context, size: number): number {
  const text = c.req.query('from') ?? '';
  const from = Number(text);
  if (!/^(?:0|[1-9]\d{0,15})$/u.test(text) || !Number.isSafeInteger(from)) {
    throw new IssuerRefusal('range_invalid', '`from` is not a number of entries');
  }
  if (from > size) throw new IssuerRefusal('range_invalid', `log has ${size} entries only`);
  return from;
}

async function tile(c: Context, account: Account): Promise<Response> {
  const { size } = requireCheckpoint(account);
  const name = parseTilePath(c.req.path.slice(c.req.path.indexOf('/log/tile/') + '/log/tile/'.length));
  const bytes =
    name.level === 'entries'
      ? await bundle(account, name, size)
      : hashTile(account.log.nodes.read, name, size);
  // A full tile never changes, nor does a partial one of a given width.
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Cache-Control': 'private, max-age=31536000, immutable',
  };
  return c.body(new Uint8Array(bytes), 200, headers);
}

async function bundle(account: Account, { index, width }: TileName, size: number): Promise<Buffer> {
  if (width > tileFill('entries', index, size))
    throw new Refusal('tile_unknown', 'no such tile at this size');
  const leaves = await account.store.entries(index * tileWidth, width);
  return writeEntryBundle(leaves.map((leaf) => Buffer.from(leaf)));
}

async function policySet(c: Context, account: Account): Promise<Response> {
  const body = await account.store.document(c.req.param('digest') ?? '');
  if (body === undefined) throw new IssuerRefusal('document_unknown', 'no policy set has this digest');
  return c.body(body, 200, {
    'Content-Type': 'application/json',
    'Cache-Control': 'private, max-age=31536000, immutable',
  });
}

async function readEntryBody(
  c: Context,
  maxBytes: number,
): Promise<{ leaf: string; documents: readonly unknown[] }> {
  const body = await readJsonBody(c, maxBytes, ['leaf', 'documents']);
  const documents: unknown = body['documents'] ?? [];
  if (!Array.isArray(documents) || documents.length > maxDocuments || !documents.every(isJsonObject)) {
    throw new IssuerRefusal(
      'body_invalid',
      `\`documents\` is not a list of at most ${maxDocuments} policy sets`,
    );
  }
  return { leaf: requireText(body['leaf'], 'leaf'), documents };
}
