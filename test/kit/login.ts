import type { Signer } from '@bulla/verifier';
import type { Json } from '@bulla/verifier/envelope';
import { loginHash, type Operation, type PersonLogin, principalIdOf } from '@bulla/verifier/log';
import { OutsideIssuer } from './federation.ts';
import { type Ledger, newSigner } from './log.ts';

type Activate = Extract<Operation, { readonly type: 'principal.activate' }>;
type Change = Readonly<Record<string, Json | undefined>>;

/** An IdP that people log in at, trusted in a ledger to confirm them. */
export class LoginWorld {
  readonly ledger: Ledger;
  readonly idp: OutsideIssuer;
  readonly issuer = 'https://idp.example/t1';
  readonly audience = 'client-1';
  readonly trust: string;
  /** Salt of everybody here. */
  readonly salt: string = 'c2FsdHNhbHRzYWx0c2FsdA';

  constructor(ledger: Ledger, name = 'corp', idp: OutsideIssuer = new OutsideIssuer()) {
    this.ledger = ledger;
    this.idp = idp;
    this.trust = ledger.trustLogin({
      name,
      issuer: this.issuer,
      keys: [idp.thumbprint],
      audience: this.audience,
      claim: 'sub',
    });
  }

  /** What provisioning says of the account `value`. */
  login(value: string): PersonLogin {
    const { issuer, salt, trust } = this;
    return { trust, hash: loginHash({ issuer, claim: 'sub', value }, salt) };
  }

  /** A pending person, provisioned by an admin with the account `value`. @returns the id. */
  pending(value: string, change: Partial<Extract<Operation, { type: 'principal.provision' }>> = {}): string {
    this.ledger.do({
      type: 'principal.provision',
      groups: [],
      attributes: {},
      sponsor: false,
      login: this.login(value),
      ...change,
    });
    return principalIdOf(this.ledger.lastLeaf);
  }

  /** Claims of an ID token of `value`, issued 5 s ago, bound to the key. */
  claims(value: string, key: Signer, change: Change = {}): Change {
    const now = this.ledger.time;
    return {
      iss: this.issuer,
      sub: value,
      aud: this.audience,
      nonce: key.publicKey.thumbprint,
      iat: now - 5,
      exp: now + 300,
      ...change,
    };
  }

  /** An activation by log-in. `change` replaces claims; `key` is the new key. */
  activate(principal: string, value: string, key: Signer, change: Change = {}): Activate {
    const token = this.idp.token(this.claims(value, key, change));
    return {
      type: 'principal.activate',
      principal,
      key: key.publicKey.jwk,
      login: { token, jwk: this.idp.jwk, salt: this.salt },
    };
  }

  /** The code of an activation that the new key asks for and `relay` (an admin unless told) wraps. */
  codeOf(op: Activate, key: Signer, relay?: Signer, cosigners: readonly Signer[] = []): string {
    const request = this.ledger.signRequest(op, `principal/${op.principal}`, key, { cosigners });
    return this.ledger.codeOf(this.ledger.sign({ request }, relay));
  }

  /** Confirms a pending person. @returns their key. */
  confirm(principal: string, value: string, key: Signer = newSigner()): Signer {
    this.ledger.ask(this.activate(principal, value, key), `principal/${principal}`, key);
    return key;
  }
}
