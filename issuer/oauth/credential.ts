import type { HolderClaims, InspectedEnvelope } from '@bulla/verifier/envelope';
import type { Party } from '../mint/party.ts';

/** What every grant finds out: for whom an envelope is asked, on the strength of what, and what that is limited to. */
interface Found {
  /** `agt_…` or `prn_…`. */
  readonly clientId: string;
  /** Whose rate is charged, where that is not the client: who was handed an envelope must not spend the agent's. */
  readonly rate?: string;
  /** `scope` of an outside token; undefined: it says nothing about scopes. */
  readonly tokenScope?: readonly string[] | undefined;
  /** Names to be taken in the store with the proof: what they stand for works once. */
  readonly useKeys: readonly string[];
  /** Unix seconds until when `useKeys` must be remembered; 0 where there are none. */
  readonly useUntil: number;
  /** What may be exchanged again by the same key alone, and until when (Unix seconds). */
  readonly tie?: { readonly name: string; readonly until: number };
}

/** A credential that a root block is minted for. */
export interface RootCredential extends Found {
  readonly kind: 'root';
  readonly holder: HolderClaims;
  /** Unix seconds that the envelope must not outlive. */
  readonly expiresBy?: number;
  /**
   * Looks up for whom it stands, on the log as it is now. Called again just before minting.
   *
   * @throws {IssuerRefusal} `client_inactive` and the like, where that has ended.
   */
  readonly stand: () => Party;
}

/** An envelope that a block is appended to. */
export interface EnvelopeCredential extends Found {
  readonly kind: 'envelope';
  readonly envelope: string;
  readonly effective: InspectedEnvelope['effective'];
}

export type Credential = RootCredential | EnvelopeCredential;
