import type { IssuerCode } from '@bulla/issuer';
import type { Code } from '@bulla/verifier';

/** What to do where an issuer gives no envelope, by its code: the answer to a client says no more than that. */
export const exchangeHints: Partial<Readonly<Record<IssuerCode | Code, string>>> = {
  target_refused:
    'the audience is written exactly as `bulla admin audience list` has it, with or without the slash; `bulla call` takes it as --resource',
  scope_refused:
    'scopes, those in the token too, have to name an action of the API; `bulla policy show <slot>` has them',
  client_inactive: '`bulla agent show` says why, or `bulla admin person show` of its owner',
  client_unauthenticated: 'is this key, or secret, still one of the agent? `bulla agent show` lists its keys',
  nothing_vouched:
    'a credential that is bound to no key is good for listed actions only: `bulla admin agent vouch <agent> <actions>`',
  federation_unknown: '`bulla admin federation list` shows whose tokens stand for an agent',
  federation_claims_mismatch:
    '`bulla admin federation show` has the claims that are demanded; of GitHub, also the kind of event',
  federation_not_bound:
    'a token that is bound to no key needs a trust with what its `aud` says: `bulla admin federation trust … --audience`',
  federation_keys_changed:
    'it is signed by a key that is not pinned: compare it, then repeat `bulla admin federation trust` under the same name',
  key_set_unavailable:
    "the issuer cannot get the outside issuer's keys: its log says why, and `federations` in its configuration where they are",
  mint_unavailable: '`bulla admin lease list` shows when the mint lease ends',
};
