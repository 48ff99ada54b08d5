import { type Leaving, type LeavingAgent, leavingOf } from '@bulla/verifier/log';
import type { Ledger } from './ledger.ts';

/** What works now and will not once a person, or one agent of theirs, is suspended or ended. */
export function leavingWith(ledger: Ledger, id: string): Leaving {
  return leavingOf(ledger.trust.read, recordsOf(ledger), id);
}

function* recordsOf(ledger: Ledger): Iterable<readonly [string, unknown]> {
  const { read } = ledger.trust;
  for (const id of ledger.names('agent/')) yield [`agent/${id}`, read(`agent/${id}`)];
  for (const name of ledger.names('federation/')) yield [`federation/${name}`, read(`federation/${name}`)];
}

interface Branch {
  readonly label: string;
  readonly branches: readonly Branch[];
}

/** The blast radius as a tree, one line for each thing that falls. */
export function leavingLines(id: string, leaving: Leaving): string[] {
  const branches = [
    ...leaving.keys.map((key) => leaf(`key ${key}`)),
    ...leaving.agents.map(agentBranch),
    ...(leaving.groups.length === 0 ? [] : [leaf(`its part in ${leaving.groups.join(', ')}`)]),
  ];
  const shown = id.startsWith('agt_') ? (branches[0]?.branches ?? []) : branches;
  const nothing = branches.length === 0 ? ['  nothing of it is in force now'] : [];
  return [id, ...nothing, ...drawn(shown, '')];
}

function agentBranch({ agent, kind, keys, federations }: LeavingAgent): Branch {
  const branches = [
    ...keys.map((key) => leaf(`key ${key}`)),
    ...federations.map((name) => leaf(`outside tokens under \`${name}\``)),
    leaf('its envelopes, and all that was handed on from them'),
  ];
  return { label: `agent ${agent}, ${kind}`, branches };
}

function leaf(label: string): Branch {
  return { label, branches: [] };
}

function drawn(branches: readonly Branch[], before: string): string[] {
  return branches.flatMap(({ label, branches: inner }, index) => {
    const last = index === branches.length - 1;
    return [`${before}${last ? '└─ ' : '├─ '}${label}`, ...drawn(inner, `${before}${last ? '   ' : '│  '}`)];
  });
}
