import { Refusal } from '../errors.ts';
import { canonicalJson } from '../json.ts';
import { limits } from '../limits.ts';
import { sha256Base64url } from './digest.ts';
import { rebuildPolicy } from './est.ts';
import type { Labelled } from './slice.ts';

/** Limits of one source: `forbid`s only, valid under the schema of one policy set. Only an engine makes one. */
export interface Narrow {
  /** Stands for the set, the source and the policies. */
  readonly key: string;
  readonly setDigest: string;
  readonly policies: readonly Labelled[];
}

/** Annotations are shown to people and programs further down; nobody on the way may talk to them at length. */
const annotationForm = /^[ -~]{0,120}$/u;

/**
 * Reads limits and builds them anew: only `forbid`, by the parsed effect, at most `maxNarrowPoliciesPerBlock` in
 * `maxNarrowBytesPerBlock`, no annotations but `@id` and `@reason` of at most 120 printable ASCII characters.
 *
 * @throws {Refusal} `narrow_too_large`, `narrow_not_forbid`, `policy_invalid`, `policy_too_deep`, `json_invalid`.
 */
export function readNarrow(setDigest: string, source: string, given: readonly unknown[]): Narrow {
  if (given.length > limits.maxNarrowPoliciesPerBlock) {
    throw new Refusal('narrow_too_large', 'more than `maxNarrowPoliciesPerBlock` policies');
  }
  const policies = Array.from(given, (item, index): Labelled => {
    const policy = rebuildPolicy(item);
    if (policy.effect !== 'forbid') throw new Refusal('narrow_not_forbid', 'a limit is not a `forbid`');
    for (const [name, value] of Object.entries(policy.annotations ?? {})) {
      if ((name !== 'id' && name !== 'reason') || !annotationForm.test(value)) {
        throw new Refusal('policy_invalid', 'a limit has an annotation that is not allowed');
      }
    }
    return { policy, policyId: `${source}#${String(index)}`, source };
  });
  const text = canonicalJson(policies.map(({ policy }) => policy));
  if (Buffer.byteLength(text) > limits.maxNarrowBytesPerBlock) {
    throw new Refusal('narrow_too_large', 'limits are larger than `maxNarrowBytesPerBlock`');
  }
  return { key: `${setDigest}.${sha256Base64url(`${source}\n${text}`)}`, setDigest, policies };
}
