export { cliCodes, exitCodes } from './errors.ts';
export { fingerprintWords, saysFingerprint } from './fingerprint.ts';
export { run } from './run.ts';
export type { Surroundings } from './surroundings.ts';
export { type CommandEntry, describeCommands } from './tree.ts';
