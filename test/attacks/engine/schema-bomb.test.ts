import { createEngine, type PolicySetDocument } from '@bulla/verifier/policy';
import { expect, test } from 'vitest';

// A common type stands for what it names, written out: ten of them, each a record of eight of the one before, are 4 KiB of
// text and a thousand million types. Whoever reads that is gone for good, in our reader and in Cedar's.

function schemaOf(levels: number, width: number, use: 'as a shape' | 'nowhere'): PolicySetDocument {
  const commonTypes: Record<string, unknown> = { T0: { type: 'Long' } };
  for (let level = 1; level <= levels; level += 1) {
    const attributes: Record<string, unknown> = {};
    for (let index = 0; index < width; index += 1) {
      attributes[`a${index}`] = { type: 'EntityOrCommon', name: `T${level - 1}` };
    }
    commonTypes[`T${level}`] = { type: 'Record', attributes };
  }
  const thing = use === 'nowhere' ? {} : { shape: { type: 'EntityOrCommon', name: `T${levels}` } };
  const schema = { '': { commonTypes, entityTypes: { Thing: thing }, actions: {} } };
  return { version: 1, policies: {}, schema: schema as unknown as PolicySetDocument['schema'] };
}

// Counted, not timed: `maxSchemaTypes` lies between four levels and five, and who does not stop there never ends at ten.
test.each(['as a shape', 'nowhere'] as const)('common types that multiply, used %s', (use) => {
  const engine = createEngine();
  expect(engine.load(schemaOf(4, 8, use))).toBeDefined();
  for (const levels of [5, 10]) {
    expect(() => engine.load(schemaOf(levels, 8, use))).toThrow(
      expect.objectContaining({ code: 'policy_set_too_large' }),
    );
  }
});
