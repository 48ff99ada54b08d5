/** The last `DPoP-Nonce` of each origin (RFC 9449 section 8.2). */
export interface OriginNonces {
  get(origin: string): string | undefined;
  keep(origin: string, headers: Headers): void;
}

const maxOrigins = 64;
const nonceForm = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/u;

export function createOriginNonces(): OriginNonces {
  const nonces = new Map<string, string>();
  return {
    get: (origin) => nonces.get(origin),
    keep: (origin, headers) => {
      const nonce = headers.get('dpop-nonce');
      if (nonce === null || !nonceForm.test(nonce)) return;
      if (nonces.size >= maxOrigins && !nonces.has(origin)) nonces.clear();
      nonces.set(origin, nonce);
    },
  };
}
