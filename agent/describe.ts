import { showPolicy } from '@bulla/verifier/authoring';
import { holderOf, type InspectedEnvelope, type Json, type RootClaims } from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { inspectHanded } from './envelope.ts';

/** What an envelope says, for people and tools. Nothing of it was checked. */
export interface EnvelopeDescription {
  readonly verified: false;
  /** Claims of the root, without the outside token that a federated one carries: it is a credential. */
  readonly root: Omit<RootClaims, 'federated'> & { readonly federated?: { readonly trust: string } };
  readonly blocks: InspectedEnvelope['blocks'];
  readonly effective: InspectedEnvelope['effective'];
  readonly mint: string;
  /** Thumbprints of the keys it passes through, in order; the last must prove each request. */
  readonly holders: readonly string[];
  /** By block, the root's first: its `forbid`s as Cedar text. What has no form as text is there as JSON. */
  readonly policies: readonly (readonly string[])[];
  /**
   * All of it for a terminal, over several lines, the first of which says UNVERIFIED. Characters that could move a cursor or
   * turn writing round are escaped.
   */
  readonly text: string;
}

/**
 * Describes an envelope as it is. Does NOT verify anything: whoever made the text chose what it says.
 *
 * @throws {AgentError} `envelope_malformed`.
 */
export async function describeEnvelope(envelope: string): Promise<EnvelopeDescription> {
  const { root, blocks, effective, mint } = inspectHanded(envelope);
  const { federated, ...claims } = root;
  const policies = await Promise.all(
    effective.narrow.map((narrow) => Promise.all(narrow.map((policy) => showForbid(policy)))),
  );
  const description = {
    verified: false,
    root: { ...claims, ...(federated !== undefined && { federated: { trust: federated.trust } }) },
    blocks,
    effective,
    mint,
    holders: [holderOf(root), ...blocks.map(({ holder }) => holder)].filter(
      (holder, index, all) => holder !== all[index - 1],
    ),
    policies,
  } as const;
  return { ...description, text: write(description) };
}

/** A `forbid` as Cedar text; as JSON where it has no such form. */
export async function showForbid(policy: Json): Promise<string> {
  const given: unknown = policy;
  try {
    return visible((await showPolicy(given as PolicySetDocument['policies'][string])).trim());
  } catch {
    return visible(JSON.stringify(policy));
  }
}

function write({
  root,
  effective,
  mint,
  holders,
  blocks,
  policies,
}: Omit<EnvelopeDescription, 'text'>): string {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['person', root.sub],
    ['agent', root.client_id],
    ['audience', effective.aud.join(' ')],
    ['issuer', root.iss],
    ['account', root.account],
    ['issued', timeOf(root.iat)],
    ['expires', timeOf(effective.exp)],
    ['policy', root.policy],
    ['first key', [root.key, root.federated?.trust ?? root.vouched?.trust ?? ''].join(' ').trim()],
    ['mint key', mint],
    ['held by', holders.join(' > ')],
    ['blocks', String(blocks.length)],
    ['more blocks', effective.depth === 0 ? 'none: it is sealed' : `at most ${effective.depth}`],
    ['id', root.jti],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    'UNVERIFIED: this is only what the envelope says',
    ...rows.flatMap(([name, value]) =>
      value === undefined ? [] : [`  ${name.padEnd(width)}  ${visible(value).replaceAll('\n', '\\n')}`],
    ),
    ...policies.flatMap((texts, block) =>
      texts.map((text) => `  limit by ${block === 0 ? 'the root' : `block ${block}`}:\n${indent(text)}`),
    ),
  ].join('\n');
}

function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : `${date.toISOString().slice(0, 19)}Z`;
}

function indent(text: string): string {
  return text.replace(/^/gmu, '    ');
}

/** Escapes what a terminal would obey or hide. Line breaks stay: those of a policy are Cedar's. */
function visible(text: string): string {
  return text.replace(/[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
