import { type PublicKey, parsePublicJwk } from './keys.ts';
import type { TrustView } from './log/view.ts';

/**
 * Public keys of the trust log by thumbprint, parsed once. A thumbprint names one key for ever, so an entry never
 * goes stale; whether the key may still act is asked elsewhere, on each request.
 *
 * @returns a look-up, undefined for a thumbprint that is in no log.
 */
export function createKeyring(
  trust: TrustView,
  capacity: number,
): (thumbprint: string) => PublicKey | undefined {
  const keys = new Map<string, PublicKey>();
  return (thumbprint) => {
    const known = keys.get(thumbprint);
    if (known !== undefined) return known;
    const record = trust.read(`key/${thumbprint}`);
    if (record === undefined) return undefined;
    const key = parsePublicJwk(record.jwk);
    if (keys.size >= capacity) keys.delete(keys.keys().next().value ?? '');
    keys.set(thumbprint, key);
    return key;
  };
}
