import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { queryDigest } from '@bulla/verifier/envelope';
import { describe, expect, test } from 'vitest';

const vectors = process.env['BULLA_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors');
const file = join(vectors, 'httpsig-dpop/rfc9421/vectors.json');

interface Vector {
  readonly name: string;
  readonly message: string | null;
  readonly signatureBase: string | null;
}

// Of RFC 9421 a proof takes over one thing: the component `@query`, hashed into `htq`. What is signed by RFC 9421 itself is
// not read here, nor are structured fields.

describe.skipIf(!existsSync(file))('the `@query` component of RFC 9421', () => {
  test('is hashed as the examples of the RFC write it', () => {
    const all = JSON.parse(readFileSync(file, 'utf8')) as readonly Vector[];
    expect(all.length).toBeGreaterThanOrEqual(14);
    const withQuery = all.flatMap(({ name, message, signatureBase }) => {
      const component = /^"@query": (?<value>.*)$/mu.exec(signatureBase ?? '')?.groups?.['value'];
      return component === undefined ? [] : [{ name, message: message ?? '', component }];
    });
    expect(withQuery.length).toBeGreaterThanOrEqual(1);
    for (const { message, component } of withQuery) {
      const target = message.split(' ')[1] ?? '';
      const query = target.slice(target.indexOf('?') + 1);
      expect(queryDigest(query)).toBe(createHash('sha256').update(component).digest('base64url'));
    }
  });
});
