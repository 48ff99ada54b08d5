import { agentIsLive, principalIsLive, type Read } from '@bulla/verifier/log';
import { IssuerRefusal } from '../errors.ts';

/** For whom an envelope is minted: an agent with its owner, or a person with a key of their own. */
export interface Party {
  /** `agt_…` or `prn_…`. */
  readonly clientId: string;
  /** `agent/<id>` or `principal/<id>`: the subject that keys of this party have in the log. */
  readonly subject: string;
  readonly principal: string;
  readonly epoch: { readonly principal: number; readonly agent?: number };
  /** Thumbprints of the keys not revoked. */
  readonly keys: readonly string[];
  /** Of an agent: who sits at it, and what it may do with a key that the mint alone vouches for. */
  readonly agent?: { readonly kind: 'autonomous' | 'interactive'; readonly vouched: readonly string[] };
}

/**
 * Finds an active agent with an active owner, or an active person.
 *
 * @throws {IssuerRefusal} `client_unauthenticated` where the log knows no such id, `client_inactive`.
 */
export function findParty(read: Read, clientId: string): Party {
  if (clientId.startsWith('agt_')) return findAgent(read, clientId);
  const principal = read(`principal/${clientId}`);
  if (principal === undefined) throw unknown();
  if (!principalIsLive(read, clientId)) {
    throw new IssuerRefusal('client_inactive', 'person is not active');
  }
  return {
    clientId,
    subject: `principal/${clientId}`,
    principal: clientId,
    epoch: { principal: principal.epoch },
    keys: principal.keys,
  };
}

function findAgent(read: Read, clientId: string): Party {
  const agent = read(`agent/${clientId}`);
  const owner = agent && read(`principal/${agent.owner}`);
  if (agent === undefined || owner === undefined) throw unknown();
  if (!agentIsLive(read, clientId)) {
    throw new IssuerRefusal('client_inactive', 'agent or its owner is not active');
  }
  return {
    clientId,
    subject: `agent/${clientId}`,
    principal: agent.owner,
    epoch: { principal: owner.epoch, agent: agent.epoch },
    keys: agent.keys,
    agent: { kind: agent.kind, vouched: agent.vouched ?? [] },
  };
}

function unknown(): IssuerRefusal {
  return new IssuerRefusal('client_unauthenticated', 'client is not in the trust log of this account');
}
