import { type PublicKey, parsePublicJwk } from '../keys.ts';
import type { Read } from './records.ts';

const maxKeys = 4096;
/** By thumbprint. The few keys of admins and delegates sign most entries; importing one costs up to 200 µs. */
const cache = new Map<string, PublicKey>();

/** The public key that the state holds under this thumbprint, whatever its standing; undefined where there is none. */
export function storedKey(read: Read, thumbprint: string): PublicKey | undefined {
  const record = read(`key/${thumbprint}`);
  if (record === undefined) return undefined;
  const cached = cache.get(thumbprint);
  if (cached !== undefined) return cached;
  const key = parsePublicJwk(record.jwk);
  if (cache.size >= maxKeys) cache.clear();
  // INVARIANT: cached under the thumbprint of the key itself, never under what a record claims.
  cache.set(key.thumbprint, key);
  return key.thumbprint === thumbprint ? key : undefined;
}
