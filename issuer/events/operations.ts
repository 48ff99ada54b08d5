import { type Operation, type Read, suspensionSource } from '@bulla/verifier/log';
import type { EventAction } from './event-types.ts';

/** What acts: a delegate key, on the state that `read` shows. */
export interface EventActor {
  readonly read: Read;
  /** Thumbprint of the stream's delegate key. */
  readonly delegate: string;
}

/** Events that undo each other are in one lane and go by the order in which they happened; the lanes know nothing of each other. */
export function laneOf(action: EventAction): 'standing' | 'sessions' | 'keys' {
  if (action === 'end-sessions') return 'sessions';
  return action === 'revoke-keys' ? 'keys' : 'standing';
}

/**
 * The operations that bring a person to where an event wants them, given the log as it is; none where they are there already, or
 * where it is not this stream's to do: a suspension by somebody else is not resumed.
 *
 * Does NOT ask whether the lease allows them: the rules of the log do.
 */
export function operationsFor(
  action: EventAction,
  principal: string,
  actor: EventActor,
): readonly Operation[] {
  const person = actor.read(`principal/${principal}`);
  if (person === undefined || person.status === 'deprovisioned') return [];
  const own = person.suspensions.includes(suspensionSource(actor.read, actor.delegate));
  // Sessions end, not keys: whoever holds a key goes on with it, under a new epoch.
  const resume: Operation = { type: 'principal.resume', principal, keys: person.keys };
  switch (action) {
    case 'suspend':
      return own ? [] : [{ type: 'principal.suspend', principal }];
    case 'resume':
      return own ? [resume] : [];
    case 'end-sessions':
      return person.status === 'active' ? [{ type: 'principal.suspend', principal }, resume] : [];
    case 'revoke-keys':
      return person.keys.map((key) => ({ type: 'key.revoke', key }));
    case 'deprovision':
      return [{ type: 'principal.deprovision', principal }];
    default:
      return [];
  }
}
