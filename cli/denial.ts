import type { ApiProblem, ProblemNext } from '@bulla/agent';
import { printable } from './printable.ts';

const layers: Readonly<Record<string, string>> = {
  verifier: 'refused by the verifier',
  admin: "denied by the admins' policy",
  narrow: 'denied by a limit in the envelope',
  agent: 'denied by a limit of the agent',
  api: 'denied by a limit of the API',
  builtin: 'denied: somebody in the chain has been confirmed by no log-in, sponsor or admin',
};

const steps: Readonly<Record<Exclude<ProblemNext['do'], 'approval' | 'ask'>, string>> = {
  exchange: 'get a new envelope, then send the request again',
  prove_again: 'send it again with a new proof',
  retry_later: 'try again later: nothing is wrong with the request',
  change_request: 'change the request: the same one will be refused again',
  ask_admin: 'ask an admin of the account',
  none: 'nothing: the API itself forbids this',
};

/** What was sent, as far as it bears on what can be done now. */
interface Sent {
  /** The envelope was handed on by somebody: the issuer gives the caller no other. */
  readonly handed: boolean;
  readonly approvals: boolean;
}

/** Why an API said no, and what can be done about it, for people. Everything the API wrote is made printable. */
export function denialLines(problem: ApiProblem, sent: Sent): readonly string[] {
  const { code, layer, detail, reasons, next } = problem;
  const said = reasons.map(({ reason }) => reason).filter((reason) => reason !== undefined);
  return [
    `${layers[layer ?? ''] ?? 'refused'} (${code})`,
    ...[...new Set([...(detail === undefined ? [] : [detail]), ...said])].map(
      (line) => `  ${printable(line)}`,
    ),
    ...(next === undefined ? [] : [`next: ${stepText(next, sent)}`]),
  ];
}

function stepText(next: ProblemNext, { handed, approvals }: Sent): string {
  if (next.do === 'ask') {
    const actions = next.authorization_details.flatMap((detail) => detail.actions).map(printable);
    const wanted = `an envelope that allows ${actions.join(', ')}`;
    if (handed) return `ask whoever handed you this one for ${wanted}`;
    return `ask for ${wanted}: --ask '${printable(JSON.stringify(next.authorization_details))}'`;
  }
  if (next.do !== 'approval') return steps[next.do];
  const whom = 'groups' in next ? ` by people in ${next.groups.join(' and ')}` : '';
  // A denial spends them; what is refused before the policy is asked may not have.
  const again = approvals ? ' (each works once: send all that are needed in one call)' : '';
  return `get approvals of this request${whom}: --approval-request <file>, then \`bulla approve\`${again}`;
}
