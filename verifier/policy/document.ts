import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';

/**
 * A published policy set: policies and schema as EST JSON, never as text. Travels as RFC 8785 bytes;
 * its digest is `sha-256:` + base64url(SHA-256(those bytes)).
 */
export interface PolicySetDocument {
  readonly version: 1;
  /** Policy id -> policy. Ids are the author's, shown in receipts; the engine evaluates under ids of its own. */
  readonly policies: Readonly<Record<string, PolicyJson>>;
  readonly schema: SchemaJson<string>;
}
