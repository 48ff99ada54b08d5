export { guardCodes } from './codes.ts';
export { type GuardConfig, loadGuardConfig } from './config.ts';
export { type GuardSurroundings, type RunningGuard, startGuard } from './run.ts';
export { createGuardServer, type GuardServerOptions } from './server.ts';
