export type { Lease, Operation } from './operations.ts';
export type { Read, Records } from './records.ts';
export type { TrustView } from './view.ts';
