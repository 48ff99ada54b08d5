import { createHash } from 'node:crypto';
import { Refusal } from '../errors.ts';
import { canonicalJson, parseJsonObject } from '../json.ts';
import { limits } from '../limits.ts';
import type { PolicySetDocument } from './document.ts';
import { rebuildPolicy } from './est.ts';
import { exactMembers, readObject } from './read.ts';
import { readSchema, type SchemaModel } from './schema.ts';

/** Characters of an author's policy id: it is shown to people and used as a member name. */
const policyIdForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

export function sha256Base64url(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** The bytes in which a policy set travels and is hashed (RFC 8785). @throws {Refusal} `json_invalid`. */
export function policySetBytes(document: PolicySetDocument): Buffer {
  return Buffer.from(canonicalJson(document));
}

/** `sha-256:` and base64url(SHA-256({@link policySetBytes})). @throws {Refusal} `json_invalid`. */
export function policySetDigest(document: PolicySetDocument): string {
  return digestOf(policySetBytes(document));
}

export function digestOf(bytes: Uint8Array): string {
  return `sha-256:${sha256Base64url(bytes)}`;
}

/** A policy set whose every part was read and built anew. */
export interface ReadSet {
  readonly document: PolicySetDocument;
  readonly schema: SchemaModel;
}

/**
 * Parses the bytes of a policy set: at most `maxPolicySetBytes`, exactly the canonical spelling, every policy and
 * the schema well-formed. The caller compares the digest. Does NOT validate the policies against the schema.
 *
 * @throws {Refusal} `policy_set_too_large`, `json_invalid`, `policy_invalid`, `policy_too_deep`.
 */
export function parsePolicySetDocument(bytes: Uint8Array): PolicySetDocument {
  if (bytes.byteLength > limits.maxPolicySetBytes) {
    throw new Refusal('policy_set_too_large', 'policy set is larger than `maxPolicySetBytes`');
  }
  const { document } = readPolicySet(parseJsonObject(bytes));
  // One spelling: what is hashed is what is read.
  if (!policySetBytes(document).equals(bytes)) {
    throw new Refusal('policy_invalid', 'policy set is not in canonical form');
  }
  return document;
}

/**
 * Reads a policy set that is already a value, and builds it anew.
 *
 * @throws {Refusal} `policy_set_too_large`, `policy_invalid`, `policy_too_deep`.
 */
export function readPolicySet(given: unknown): ReadSet {
  const set = readObject(given, 'policy set');
  exactMembers(set, ['version', 'policies', 'schema']);
  if (set['version'] !== 1) throw new Refusal('policy_invalid', 'unknown version of policy set');
  const entries = Object.entries(readObject(set['policies'], 'policies'));
  if (entries.length > limits.maxPoliciesPerSet) {
    throw new Refusal('policy_set_too_large', 'policy set has more than `maxPoliciesPerSet` policies');
  }
  const policies = Object.create(null) as Record<string, PolicySetDocument['policies'][string]>;
  for (const [id, policy] of entries) {
    if (!policyIdForm.test(id))
      throw new Refusal('policy_invalid', 'policy id has characters that are not allowed');
    policies[id] = rebuildPolicy(policy);
  }
  const schema = copyJson(set['schema'], 0) as PolicySetDocument['schema'];
  return { document: { version: 1, policies, schema }, schema: readSchema(schema) };
}

function copyJson(given: unknown, depth: number): unknown {
  if (depth > limits.maxJsonDepth) throw new Refusal('policy_too_deep', 'schema is nested too deeply');
  if (typeof given !== 'object' || given === null) return given;
  if (Array.isArray(given)) return Array.from(given as unknown[], (item) => copyJson(item, depth + 1));
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(readObject(given, 'schema')))
    copy[name] = copyJson(value, depth + 1);
  return copy;
}
