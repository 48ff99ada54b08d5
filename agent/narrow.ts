import { limits, type Ports, type PublicJwk, Refusal, type Signer, systemPorts } from '@bulla/verifier';
import {
  type Allowance,
  inspect,
  isJsonObject,
  type Json,
  narrowTo,
  parseAllowance,
  signBlock,
} from '@bulla/verifier/envelope';
import { showForbid } from './describe.ts';
import { inspectHanded, requireHolder } from './envelope.ts';
import { AgentError } from './errors.ts';
import { requireDeclared, type SchemaSource, validateForbids } from './schema.ts';

/** What is still let through: a request that fits every member given. Everything else is forbidden. */
export interface Only extends Omit<Allowance, 'limits'> {
  /**
   * Context attribute (Long) -> largest value, both ends included. An action whose context lacks the attribute is cut off:
   * name the `actions` too, where others shall stay.
   */
  readonly max?: Readonly<Record<string, number>>;
}

/** What a block takes away, and whom it names. Absent members stay as they are. */
export interface Narrowing {
  /** Who holds the envelope from here on; absent: the same key. */
  readonly next?: PublicJwk;
  readonly only?: Only;
  /** Further `forbid`s, EST JSON. Write `forbid … unless { what is allowed }`. */
  readonly forbids?: readonly Json[];
  /** Unix seconds; at the latest when the envelope ends anyhow. */
  readonly expiresAt?: number;
  /** Audiences that stay: a subset. */
  readonly audiences?: readonly string[];
  /** How many blocks may follow this one: less than now. Default: one less. */
  readonly depth?: number;
  /** No block may follow. */
  readonly seal?: true;
}

/** What narrowing needs beside the envelope. */
export interface NarrowingSurroundings {
  /**
   * The policy set the API decides by, or its schema; needed for `only` and `forbids`. From a file that an admin hands out
   * (`parsePolicySetDocument`), or with a read token from the issuer (`fetchPolicySet`).
   */
  readonly schema?: SchemaSource;
  /** What the APIs take (`createVerifier`). Default 7168, at most 12288. */
  readonly maxEnvelopeBytes?: number;
  readonly ports?: Pick<Ports, 'now'>;
}

/** A narrower envelope, and what makes it narrower. */
export interface NarrowedEnvelope {
  readonly envelope: string;
  /** The `forbid`s that this block adds, as Cedar text for people. It is not what travels. */
  readonly policies: readonly string[];
}

/**
 * Appends a block to an envelope, offline. It can only take away: whatever it says, a verifier allows nothing that it
 * did not allow before. Policies are validated against the schema before anything is signed.
 *
 * Does NOT verify the envelope, nor that `schema` is that of the current policy set: an API refuses a limit that its own
 * set does not know (`policy_not_valid`).
 *
 * @throws {AgentError} `envelope_malformed`, `envelope_not_ours`, `envelope_expired`, `envelope_sealed`, `schema_missing`,
 *   `schema_unusable`, `narrowing_invalid`.
 */
export async function narrowEnvelope(
  envelope: string,
  { holder, ...narrowing }: Narrowing & { readonly holder: Signer },
  surroundings: NarrowingSurroundings = {},
): Promise<NarrowedEnvelope> {
  const before = inspectHanded(envelope);
  const now = Math.floor((surroundings.ports ?? systemPorts).now());
  requireHolder(before, holder);
  if (before.effective.exp <= now) throw new AgentError('envelope_expired', 'the envelope has expired');
  if (before.effective.depth === 0) throw new AgentError('envelope_sealed', 'the envelope is sealed');
  const { next = holder.publicKey.jwk, only, forbids = [], expiresAt, audiences, ...more } = narrowing;
  const depth = readDepth(more, before.effective.depth);
  const narrow = forbidsOf(only, forbids, surroundings.schema);
  const { exp } = before.effective;
  const narrowed = refusing(() => {
    const longer = signBlock(
      envelope,
      {
        iat: now,
        depth,
        ...(expiresAt !== undefined && { exp: Math.min(readTime(expiresAt, now), exp) }),
        ...(audiences !== undefined && { aud: audiences }),
        ...(narrow.length > 0 && { narrow }),
        next,
      },
      holder,
    );
    inspect(longer);
    return longer;
  });
  requireSize(narrowed, surroundings.maxEnvelopeBytes);
  return { envelope: narrowed, policies: await Promise.all(narrow.map(showForbid)) };
}

const invalid = (message: string): AgentError => new AgentError('narrowing_invalid', message);

/** What is not known is refused: a misspelt member would leave what it was meant to take away. */
function readDepth(
  { depth, seal, ...unknown }: { readonly depth?: number; readonly seal?: unknown },
  before: number,
): number {
  if (Object.keys(unknown).length > 0) throw invalid('the narrowing has an unknown member');
  if (seal !== undefined && (seal !== true || (depth !== undefined && depth !== 0))) {
    throw invalid('`seal` is `true` or absent, and goes with no `depth` but 0');
  }
  if (seal === true) return 0;
  return depth === undefined ? before - 1 : depth;
}

function forbidsOf(
  only: Only | undefined,
  forbids: readonly Json[],
  schema: SchemaSource | undefined,
): readonly Json[] {
  if (!Array.isArray(forbids)) throw invalid('`forbids` is not a list');
  if (only === undefined && forbids.length === 0) return [];
  if (schema === undefined) {
    throw new AgentError('schema_missing', 'give the schema that the limits are written for');
  }
  return refusing(() => {
    const allowance = only === undefined ? undefined : readOnly(only);
    if (allowance !== undefined) requireDeclared(schema, allowance);
    const narrow = [...(allowance === undefined ? [] : narrowTo([allowance])), ...forbids];
    validateForbids(schema, narrow);
    return narrow;
  });
}

function readOnly(only: unknown): Allowance {
  if (!isJsonObject(only)) throw invalid('`only` is not an object');
  const { max, ...rest } = only;
  if ('limits' in rest) throw invalid('`only` has an unknown member');
  return parseAllowance({ ...rest, ...(max !== undefined && { limits: max }) });
}

function readTime(expiresAt: number, now: number): number {
  if (!Number.isFinite(expiresAt)) throw invalid('`expiresAt` is not a time');
  if (expiresAt < now + 1) throw invalid('`expiresAt` has passed');
  return Math.floor(expiresAt);
}

function requireSize(envelope: string, maxBytes: number = limits.maxEnvelopeBytes): void {
  if (envelope.length <= maxBytes) return;
  throw new AgentError(
    'narrowing_invalid',
    `the envelope would be ${envelope.length} bytes, over ${maxBytes}`,
    {
      reason: 'envelope_too_large',
    },
  );
}

/** The verifier's refusals as this package's errors. */
function refusing<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new AgentError('narrowing_invalid', error.message, { reason: error.code });
  }
}
