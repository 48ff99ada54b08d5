import { chainScenarios } from './chains.ts';
import { federatedScenarios } from './federated.ts';
import { runRounds } from './rounds.ts';

// A process of its own: what other libraries leave in memory is no matter of the other rows, nor theirs of these.

const rounds = Number(process.argv[2]);
const scenarios = [...(await chainScenarios()), ...(await federatedScenarios())];
const onRound = (round: number): void => {
  if (round % 5 === 0 || round === rounds)
    process.stderr.write(`chains: round ${String(round)} of ${String(rounds)}\n`);
};
process.send?.(await runRounds(scenarios, { rounds, calls: 100, onRound }));
