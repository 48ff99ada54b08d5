import {
  checkEnvelope,
  createSigner,
  createVerifier,
  memoryReplay,
  parsePublicJwk,
  Refusal,
  type WireRequest,
} from '@bulla/verifier';
import { compilePolicySet, lintPolicySet, showPolicy } from '@bulla/verifier/authoring';
import {
  approvalRequest,
  canonicalJson,
  checkOutsideToken,
  checkTokenProof,
  checkUnboundToken,
  createProof,
  createPublicOrigins,
  decodeBase64url,
  inspect,
  parseApproval,
  parseAuthorizationDetails,
  parseContentJson,
  parseJson,
  parseJsonObject,
  parseJws,
  parseOutsideJwk,
  parseOutsideToken,
  readApprovalRequest,
  readRequest,
  signApproval,
  signBlock,
  signMintBlock,
} from '@bulla/verifier/envelope';
import {
  apply,
  cosign,
  createFollower,
  genesisPosition,
  parseCheckpoint,
  parseEntry,
  parseEntryBundle,
  parseLock,
  parseNote,
  parseRequest,
  parseTilePath,
  readLock,
  signEntry,
  signRequest,
  verifyCheckpoint,
  World,
} from '@bulla/verifier/log';
import { createEngine, parsePolicySetDocument, policySetDigest } from '@bulla/verifier/policy';
import { describe, expect, test } from 'vitest';
import { ApiWorld, audience, notesPolicy, readNote } from '../kit/api.ts';

/** Stands in every wrong input, and must stand in no message. */
const marker = 'mallory-was-here';
const nested = (depth: number): unknown => {
  let value: unknown = marker;
  for (let index = 0; index < depth; index += 1) value = [value];
  return value;
};
const throwing = (): never => {
  throw new TypeError('hostile object');
};

const wrong: readonly (readonly [what: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['a boolean', true],
  ['zero', 0],
  ['a negative number', -1],
  ['a fraction', 1.5],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['a number over 2^53', 2 ** 60],
  ['a bigint', 8_675_309n],
  ['a symbol', Symbol(marker)],
  ['a function', () => marker],
  ['an empty string', ''],
  ['a string', marker],
  ['a string of dots and tildes', `${marker}.${marker}.${marker}~${marker}..${marker}`],
  ['a huge string', marker.repeat(400_000)],
  ['a huge string of dots', '.'.repeat(6_000_000)],
  ['a huge string of tildes', '~'.repeat(6_000_000)],
  ['a huge string of brackets', '['.repeat(6_000_000)],
  ['a lone surrogate', `\ud800${marker}`],
  ['control characters', `\u0000\u0007\u001b[31m${marker}\n`],
  ['a String object', Object(marker)],
  ['an empty array', []],
  ['an array', [marker, marker]],
  ['a sparse array', Array.from({ length: 3 })],
  ['a deep array', nested(20_000)],
  ['an empty object', {}],
  ['an object', { [marker]: marker }],
  ['an object with its own __proto__', JSON.parse(`{"__proto__": {"kty": "OKP", "crv": "${marker}"}}`)],
  ['an object with a null prototype', Object.assign(Object.create(null), { kty: marker })],
  ['an object with toJSON', { toJSON: () => marker, toString: () => marker }],
  ['an object with a length', { length: 2 ** 40, 0: marker }],
  ['an object whose getters throw', Object.defineProperty({}, 'kty', { get: throwing, enumerable: true })],
  ['a proxy that throws', new Proxy({}, { get: throwing, ownKeys: throwing, has: throwing })],
  ['a revoked proxy', revoked()],
  ['a Map', new Map([[marker, marker]])],
  ['a date', new Date(Number.NaN)],
  ['bytes', Buffer.from(marker)],
  ['bytes that are not UTF-8', Uint8Array.of(0xff, 0xfe, 0xc0)],
  ['bytes with a deep JSON', Buffer.from('['.repeat(100_000))],
  ['huge bytes', Buffer.alloc(6_000_000, 0x5b)],
  ['an ArrayBuffer', new ArrayBuffer(8)],
];

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const world = new ApiWorld();
const { signer } = world.agent;
const envelope = world.envelope();
const origins = createPublicOrigins([audience]);
const logKey = world.ledger.logKey.publicKey;
const set = createEngine().load(notesPolicy);
const draft = { account: world.ledger.account, subject: 'account', subjectVersion: 0, notAfter: 1 };
const follower = createFollower({
  account: world.ledger.account,
  url: 'https://issuer.example',
  readToken: 'none',
});

/** Takes whatever it is given where the type says something else. */
type Fed = (value: never) => unknown;

/** Every public function that takes what came from outside or from a file, by what it takes. */
const takers: Readonly<Record<'text' | 'bytes' | 'value', Readonly<Record<string, Fed>>>> = {
  text: {
    decodeBase64url,
    parseJws: (value) => parseJws(value, { typ: 'x', members: [] }),
    inspect,
    checkEnvelope: (value) => checkEnvelope(value, { trust: world.trust, audience, now: world.now }),
    checkTokenProof: (proof) =>
      checkTokenProof({ proof, method: 'POST', url: audience, body: new Uint8Array(0), now: world.now }),
    parseEntry,
    parseRequest,
    parseNote,
    parseCheckpoint,
    verifyCheckpoint: (value) => verifyCheckpoint(value, { origin: 'log.example/a', logKey }),
    parseTilePath,
    apply: (value) => apply(() => undefined, genesisPosition(world.ledger.account), value),
    'World.draft': (value) => new World({ account: world.ledger.account }).draft().append(value),
    cosign: (value) => cosign(value, signer),
    'follower.stop': (value) => follower.stop(value),
    readLock,
    parseApproval,
    parseOutsideToken,
    checkOutsideToken: (token) =>
      checkOutsideToken(undefined, { token, jwk: signer.publicKey.jwk, account: '', jkt: '', now: 1 }),
    checkUnboundToken: (token) => checkUnboundToken(undefined, { token, jwk: signer.publicKey.jwk, now: 1 }),
  },
  bytes: {
    parseContentJson,
    parseJson,
    parseJsonObject,
    parseEntryBundle: (value) => parseEntryBundle(value, 256),
    parseLock,
    parsePolicySetDocument,
  },
  value: {
    parsePublicJwk,
    parseOutsideJwk,
    createSigner,
    parseAuthorizationDetails,
    canonicalJson: (value) => canonicalJson([value, Symbol.iterator]),
    policySetDigest: (value) =>
      policySetDigest({ version: value, policies: {}, schema: Symbol.iterator as never }),
    lintPolicySet: (value) => lintPolicySet(value, { groups: [], attributes: [] }),
    'engine.load': (value) => createEngine().load(value),
    'engine.validateNarrow': (value) => createEngine().validateNarrow(set, 'narrow', [value]),
    readApprovalRequest,
    'readApprovalRequest, members': (value) =>
      readApprovalRequest({
        ...approvalRequest({ method: 'GET', url: audience, envelope }),
        method: value,
        headers: value,
      }),
    signApproval: (value) => signApproval(value, { signer, now: world.now }),
    readRequest: (value) => readRequest(value, origins),
    signBlock: (next) => signBlock(envelope, { iat: 1, depth: 0, next }, signer),
    signMintBlock: (next) => signMintBlock(envelope, { iat: 1, depth: 0, next }, signer),
    signEntry: (op) => signEntry({ seq: 0, time: 1, op }, signer),
    signRequest: (op) => signRequest({ ...draft, op }, signer),
  },
};

type Outcome = 'refused' | 'type error' | 'accepted' | `unexpected ${string}`;

function outcomeOfError(error: unknown): Outcome {
  if (!(error instanceof Error)) return 'unexpected value that is no error';
  if (error.message.includes(marker)) return `unexpected input in the message of ${error.name}`;
  if (error instanceof Refusal) return 'refused';
  return error instanceof TypeError ? 'type error' : `unexpected ${error.name}: ${error.message}`;
}

async function outcomeOf(feed: () => unknown): Promise<Outcome> {
  try {
    await feed();
    return 'accepted';
  } catch (error) {
    return outcomeOfError(error);
  }
}

/** What came of each wrong input, without the outcomes that are as they should be. */
async function surprises(
  feed: Fed,
  allowed: (value: unknown) => readonly Outcome[],
  inputs: typeof wrong = wrong,
): Promise<string[]> {
  const found: string[] = [];
  for (const [what, value] of inputs) {
    const outcome = await outcomeOf(() => feed(value as never));
    if (!allowed(value).includes(outcome)) found.push(`${what}: ${outcome}`);
  }
  return found;
}

/** What is right to be taken: base64url that is base64url. */
const acceptable: Readonly<Record<string, readonly string[]>> = {
  decodeBase64url: ['an empty string', 'a string', 'a huge string'],
};

/** Of the right type and hostile: a refusal. Of a wrong type, which only the host can pass: a type error will do. */
function rightOutcomes(takes: string, value: unknown): readonly Outcome[] {
  const fits =
    (takes === 'text' && typeof value === 'string') || (takes === 'bytes' && ArrayBuffer.isView(value));
  return fits ? ['refused'] : ['refused', 'type error'];
}

describe.each(Object.entries(takers))(
  'a function that takes %s refuses and does not quote',
  (takes, table) => {
    test.each(Object.entries(table))('%s', async (name, feed) => {
      const inputs = wrong.filter(([what]) => acceptable[name]?.includes(what) !== true);
      expect(await surprises(feed, (value) => rightOutcomes(takes, value), inputs)).toEqual([]);
    });
  },
);

describe('a proof is not made from', () => {
  test.each(['url', 'now', 'signer'] as const)('a wrong `%s`', async (field) => {
    const right = { method: 'GET', url: audience, envelope, signer, now: world.now };
    const times = /^(zero|a negative number|a fraction|a number over 2\^53|a deep array)$/u;
    const feed: Fed = (value) => createProof({ ...right, [field]: value });
    const inputs = wrong.filter(([what]) => !times.test(what));
    expect(await surprises(feed, () => ['refused', 'type error'], inputs)).toEqual([]);
  });
});

describe('what is no text is not compiled, and what is no policy is not shown', () => {
  const few = wrong.filter(([what]) => /^(null|zero|a string|a huge string of dots|an object)$/u.test(what));
  test('compilePolicySet', async () => {
    const feed: Fed = (policyText) => compilePolicySet({ policyText, schemaText: '' });
    // An author's own text may be quoted to its author: see PolicyTextRefusal.
    const outcomes = await Promise.all(few.map(([, value]) => outcomeOf(() => feed(value as never))));
    expect(outcomes).not.toContain('accepted');
  });
  test('showPolicy', async () => {
    expect(await surprises(showPolicy, () => ['refused', 'type error'], few)).toEqual([]);
  });
});

describe('decide lets nothing through', () => {
  const decide = (change: Partial<Record<keyof WireRequest, unknown>>): Promise<unknown> =>
    world.decide({ ...world.request({ envelope }), ...change } as WireRequest);
  const refused = (): readonly Outcome[] => ['refused'];

  test('with the request as it is', async () => {
    expect(await outcomeOf(() => decide({}))).toBe('accepted');
  });
  test.each(['method', 'target', 'headers', 'body'] as const)('with a wrong `%s`', async (field) => {
    expect(await surprises((value) => decide({ [field]: value }), refused)).toEqual([]);
  });
  test.each(['host', 'authorization', 'dpop'])('with a wrong `%s` field', async (name) => {
    const feed: Fed = (value) => {
      const { headers } = world.request({ envelope });
      return decide({ headers: headers.map((field) => (field[0] === name ? [name, value] : field)) });
    };
    const fields = wrong.filter(([what]) => what !== 'undefined');
    expect(await surprises(feed, refused, fields)).toEqual([]);
  });
  test('with a wrong `bulla-approval` field', async () => {
    const feed: Fed = (value) => {
      const { headers } = world.request({ envelope });
      return decide({ headers: [...headers, ['bulla-approval', value]] });
    };
    const fields = wrong.filter(([what]) => what !== 'undefined');
    expect(await surprises(feed, refused, fields)).toEqual([]);
  });
  test('with a wrong request', async () => {
    expect(await surprises((value) => world.decide(value), refused)).toEqual([]);
  });

  const denied = async (access: object): Promise<void> => {
    const decision = await world.decide(world.request({ envelope }), { ...readNote(), ...access });
    if (!decision.allowed) throw new Refusal('policy_denied', 'denied');
  };
  test('with a wrong action', async () => {
    expect(await surprises((action) => denied({ action }), refused)).toEqual([]);
  });
  test('with a wrong resource', async () => {
    expect(await surprises((resource) => denied({ resource: () => resource }), refused)).toEqual([]);
  });
  test.each(['type', 'attributes', 'ancestors', 'related'])(
    'with a wrong `%s` of the resource',
    async (member) => {
      const feed: Fed = (value) => denied({ resource: () => ({ type: 'Note', id: '1', [member]: value }) });
      const absent = new Set(['undefined', 'an empty array', 'an empty object']);
      expect(
        await surprises(
          feed,
          refused,
          wrong.filter(([what]) => !absent.has(what)),
        ),
      ).toEqual([]);
    },
  );
  test('with a wrong context', async () => {
    const feed: Fed = (value) => denied({ context: () => value });
    const absent = new Set(['undefined', 'null', 'an empty object']);
    expect(
      await surprises(
        feed,
        refused,
        wrong.filter(([what]) => !absent.has(what)),
      ),
    ).toEqual([]);
  });
});

test.each(['account', 'audience', 'publicOrigins', 'trust', 'replay'] as const)(
  'a verifier with a wrong `%s` is not made, or refuses everything',
  async (option) => {
    const right = {
      account: world.ledger.account,
      audience,
      publicOrigins: [audience],
      trust: world.trust,
      replay: memoryReplay({ processes: 1, startedAt: world.now - 3600 }),
      ports: { now: () => world.now },
    };
    const feed: Fed = (value) =>
      createVerifier({ ...right, [option]: value }).decide(world.request({ envelope }), readNote());
    const found = await Promise.all(wrong.map(([, value]) => outcomeOf(() => feed(value as never))));
    expect(found).not.toContain('accepted');
  },
);
