import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  checkProof,
  contentDigest,
  envelopeDigest,
  queryDigest,
  readRequest,
} from '@bulla/verifier/envelope';
import { expect, test } from 'vitest';
import { publicOrigins, unpack } from '../../kit/wire.ts';

const spec = readFileSync(join(import.meta.dirname, '../../../docs/spec/proof.md'), 'utf8');

test('the request on the first screen of the specification passes', () => {
  const message = /```http\n([^`]+)\n```/u.exec(spec)?.[1] ?? '';
  const [head = '', body = ''] = message.split('\n\n');
  const [requestLine = '', ...lines] = head.split('\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const headers = lines.map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon), line.slice(colon + 2)] as const;
  });
  const holder = /for the holder `([\w-]{43})`/u.exec(spec)?.[1] ?? '';
  const request = readRequest({ method, target, headers, body: Buffer.from(body) }, publicOrigins);
  expect(checkProof(request, { holder, now: 1_790_000_000, route: {} })).toMatchObject({
    keyThumbprint: holder,
    boundHeaders: ['content-type'],
  });
  const { header, claims } = unpack(request.proof);
  const shown = /```json\n(\{[^\n]+\})\n(\{[\s\S]+?\})\n```/u.exec(spec);
  expect([JSON.parse(shown?.[1] ?? ''), JSON.parse(shown?.[2] ?? '')]).toEqual([header, claims]);
});

test.each([
  ['`htq` of no query, and of `?`', queryDigest('')],
  ['`htq` of `a=1`', queryDigest('a=1')],
  ['`htq` of `b=2&a=1`', queryDigest('b=2&a=1')],
  ['`content_digest` of nothing', contentDigest(new Uint8Array(0))],
  ['`content_digest` of `{"hello": "world"}`', contentDigest(Buffer.from('{"hello": "world"}'))],
  ['`ath` of `root~block`', envelopeDigest('root~block')],
])('the vector %s holds', (name, value) => {
  expect(spec).toContain(`| ${name} | \`${value}\` |`);
});
