export { type ContentLimits, readCapped } from './body.ts';
export {
  type AdapterDecision,
  type Decider,
  decideRow,
  type HttpOptions,
  type MappedRequest,
  mapRequest,
  problemOf,
  type RouteRow,
} from './http.ts';
export { acceptStop, type OwnPages } from './own.ts';
export type { Answer } from './problem.ts';
export { compileRoutes, type Match } from './routes.ts';
