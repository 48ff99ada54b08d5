import { decisionScenarios } from './decisions.ts';
import { createPeer, joseScenario, oauthScenario } from './peers.ts';
import { runRounds, type Scenario } from './rounds.ts';
import type { Curve } from './world.ts';

const scenarios: Scenario[] = [];
const curves: readonly Curve[] = ['Ed25519', 'P-256'];
for (const curve of curves) {
  const peer = await createPeer(curve);
  scenarios.push(joseScenario(peer), oauthScenario(peer), ...decisionScenarios(curve));
}
const rows = await runRounds(scenarios, {
  rounds: 9,
  calls: 200,
  onRound: (round) => process.stderr.write(`round ${round}\n`),
});
for (const row of rows)
  console.log(
    row.name.padEnd(50),
    row.us,
    row.cpuUs,
    JSON.stringify(row.ratio),
    JSON.stringify(row.cpuRatio),
  );
