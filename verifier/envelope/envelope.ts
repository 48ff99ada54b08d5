import { Refusal } from '../errors.ts';
import type { Json } from '../json.ts';
import { limits } from '../limits.ts';
import { linkOf, parseBlock, type UnverifiedBlock } from './block.ts';
import { holderOf } from './holder.ts';
import type { ReadKey } from './known-keys.ts';
import { parseRoot, type RootClaims, type UnverifiedRoot } from './root.ts';

/**
 * An envelope whose text is well formed and whose blocks only take away. No signature is verified and nothing is
 * compared with a trust log: not to be acted upon.
 */
export interface UnverifiedEnvelope {
  readonly root: UnverifiedRoot;
  readonly blocks: readonly UnverifiedBlock[];
  readonly effective: Effective;
}

/** What is left after every block: earliest `exp`, smallest `aud`, last `depth`, all narrowing in order. */
interface Effective {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly depth: number;
  readonly narrow: readonly (readonly Json[])[];
}

/** Claims of an envelope for people and tools to look at. */
export interface InspectedEnvelope {
  readonly verified: false;
  readonly mint: string;
  readonly root: RootClaims;
  readonly blocks: readonly (UnverifiedBlock['claims'] & { readonly holder: string })[];
  readonly effective: Effective;
}

/**
 * Parses `root~block~…` and holds every block to the one before it: `prev` is the hash of the bytes before, `exp`
 * does not grow, `aud` does not widen, `depth` falls. At most `maxRaisedEnvelopeBytes`: what one API takes may be less.
 *
 * @param judgeRoot called before the first block is looked at, where there is one: to check the keys that blocks name takes far longer
 *   than a signature, and strangers shall not have it done. What it throws is thrown.
 * @throws {Refusal} `envelope_too_large`, `envelope_malformed`, `envelope_widened`, `envelope_link_wrong`,
 *   `narrow_too_large` and the codes of `parseRoot` and `parseBlock`.
 */
export function parseEnvelope(
  text: string,
  readKey?: ReadKey,
  judgeRoot?: (root: UnverifiedRoot) => void,
): UnverifiedEnvelope {
  if (text.length > limits.maxRaisedEnvelopeBytes) {
    throw new Refusal('envelope_too_large', 'envelope is too large');
  }
  const parts = text.split('~', limits.maxBlocks + 1);
  const [first, ...rest] = parts;
  if (first === undefined || parts.length > limits.maxBlocks) {
    throw new Refusal('envelope_malformed', 'too many blocks');
  }
  const root = parseRoot(first);
  if (rest.length > 0) judgeRoot?.(root);
  const blocks: UnverifiedBlock[] = [];
  let effective: Effective = {
    aud: root.claims.aud,
    exp: root.claims.exp,
    depth: root.claims.depth,
    narrow: [root.claims.narrow],
  };
  let end = first.length;
  for (const part of rest) {
    const block = parseBlock(part, readKey);
    if (block.claims.prev !== linkOf(text.slice(0, end))) {
      throw new Refusal('envelope_link_wrong', 'a block does not follow the bytes before it');
    }
    requireSameHolder(root, blocks.at(-1), block);
    effective = narrowed(effective, block);
    blocks.push(block);
    end += 1 + part.length;
  }
  const count = effective.narrow.reduce((sum, narrow) => sum + narrow.length, 0);
  if (count > limits.maxNarrowPoliciesPerEnvelope) {
    throw new Refusal('narrow_too_large', 'too many narrowing policies in one envelope');
  }
  return { root, blocks, effective };
}

/** What the mint adds after the root may take away, and hands nothing on. */
function requireSameHolder(
  root: UnverifiedRoot,
  before: UnverifiedBlock | undefined,
  block: UnverifiedBlock,
): void {
  if (block.mint === undefined) return;
  if (block.mint !== root.mint) {
    throw new Refusal('envelope_signature_invalid', 'a block is by another mint than the root');
  }
  if (block.holder.thumbprint !== (before?.holder.thumbprint ?? holderOf(root.claims))) {
    throw new Refusal('envelope_widened', 'a block by the mint names another holder');
  }
}

function narrowed(before: Effective, { claims }: UnverifiedBlock): Effective {
  if (claims.depth >= before.depth) throw new Refusal('envelope_widened', 'a block does not lower `depth`');
  if (claims.exp !== undefined && claims.exp > before.exp) {
    throw new Refusal('envelope_widened', 'a block lengthens `exp`');
  }
  if (claims.aud?.some((audience) => !before.aud.includes(audience)) === true) {
    throw new Refusal('envelope_widened', 'a block widens `aud`');
  }
  return {
    aud: claims.aud ?? before.aud,
    exp: claims.exp ?? before.exp,
    depth: claims.depth,
    narrow: [...before.narrow, claims.narrow ?? []],
  };
}

/** Reads an envelope for display. Does NOT verify anything. @throws as {@link parseEnvelope}. */
export function inspect(text: string): InspectedEnvelope {
  const { root, blocks, effective } = parseEnvelope(text);
  return {
    verified: false,
    mint: root.mint,
    root: root.claims,
    blocks: blocks.map((block) => ({ ...block.claims, holder: block.holder.thumbprint })),
    effective,
  };
}
