export { announcedLength, readCapped } from './body.ts';
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
export type { Problem } from './problem.ts';
export { compileRoutes, type Match } from './routes.ts';
export { acceptStop } from './stop.ts';
