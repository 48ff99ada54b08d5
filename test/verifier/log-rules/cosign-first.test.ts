import { cosign, cosignFirst, parseRequest } from '@bulla/verifier/log';
import { describe, expect, test } from 'vitest';
import { codeOf } from '../../kit/codes.ts';
import { createLedger, newSigner } from '../../kit/log.ts';

/** A pending person, and the request that their new key signed by itself. */
function handedOver(recovery = false) {
  const ledger = createLedger();
  const pending = ledger.person({ pending: true });
  const further = newSigner();
  const request = ledger.signRequest(
    {
      type: 'principal.activate',
      principal: pending.id,
      key: pending.signer.publicKey.jwk,
      ...(recovery && { recovery: further.publicKey.jwk }),
    },
    `principal/${pending.id}`,
    pending.signer,
    { cosigners: recovery ? [further] : [] },
  );
  return { ledger, pending, request };
}

describe('a signature put in front of a request', () => {
  test.each([false, true])(
    'makes it go on that word, with every other signature as it was (recovery key: %s)',
    (recovery) => {
      const { ledger, pending, request } = handedOver(recovery);
      const sponsor = ledger.person({ sponsor: true });
      const confirmed = cosignFirst(request, sponsor.signer);
      const { primary, further } = parseRequest(confirmed).statement;
      expect(primary.thumbprint).toBe(sponsor.signer.publicKey.thumbprint);
      expect(further).toHaveLength(recovery ? 2 : 1);
      ledger.append(ledger.sign({ request: confirmed }));
      expect(ledger.read(`principal/${pending.id}`)).toMatchObject({
        status: 'active',
        assurance: 'sponsor',
      });
    },
  );
  test('counts where an added one does not: without it the request goes on the word of the key itself', () => {
    const { ledger, request } = handedOver();
    const sponsor = ledger.person({ sponsor: true });
    const added = cosign(request, sponsor.signer);
    expect(ledger.codeOf(ledger.sign({ request: added }))).toBe('rule_not_sponsor');
  });
  test('is refused where this key has signed, and where the payload is spelled in another way', () => {
    const { pending, request } = handedOver();
    expect(codeOf(() => cosignFirst(request, pending.signer))).toBe('entry_malformed');
    const [header, payload = '', signature] = request.split('.');
    const spaced = Buffer.from(` ${Buffer.from(payload, 'base64url').toString()}`).toString('base64url');
    expect(codeOf(() => cosignFirst(`${header}.${spaced}.${signature}`, newSigner()))).toBe(
      'entry_malformed',
    );
  });
});
