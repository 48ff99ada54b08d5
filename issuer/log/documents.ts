import type { Operation } from '@bulla/verifier/log';
import {
  type Engine,
  type PolicySetDocument,
  parsePolicySetDocument,
  policySetBytes,
  policySetDigest,
} from '@bulla/verifier/policy';
import { IssuerRefusal } from '../errors.ts';
import type { AccountStore } from '../store/store.ts';

/**
 * The policy set that an entry publishes must come with it or be stored already, and be one that verifiers can load: a
 * digest without a usable set would make them all deny. What comes with it and is not published is refused, so that
 * the store holds nothing that no admin signed.
 *
 * @returns the documents to store: digest -> RFC 8785 text.
 * @throws {IssuerRefusal} `document_missing`, `document_unused`.
 * @throws {Refusal} as `Engine.load`.
 */
export async function requireDocuments(
  op: Operation,
  documents: readonly unknown[],
  context: { readonly store: AccountStore; readonly engine: Engine },
): Promise<ReadonlyMap<string, string>> {
  const needed = op.type === 'policy.publish' ? op.digest : undefined;
  const given = new Map<string, string>();
  for (const value of documents) {
    // Compared before it is looked into: what no admin signed may be made to keep a reader of schemas busy.
    const bytes = policySetBytes(value as PolicySetDocument);
    if (needed === undefined || policySetDigest(value as PolicySetDocument) !== needed) {
      throw new IssuerRefusal('document_unused', 'a policy set comes with an entry that does not publish it');
    }
    context.engine.load(parsePolicySetDocument(bytes));
    given.set(needed, bytes.toString());
  }
  if (needed !== undefined && !given.has(needed) && (await context.store.document(needed)) === undefined) {
    throw new IssuerRefusal('document_missing', 'entry publishes a policy set that did not come with it');
  }
  return given;
}
