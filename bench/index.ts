/** The bench's own arithmetic, for its test. The bench itself is `main.ts`. */
export { replaceTable, writeTable } from './readme.ts';
export {
  findFailures,
  type ImportResult,
  importFailures,
  type ResultRow,
  type Results,
  resultRow,
} from './results.ts';
export { quantile, type Row, type Sample, summarise } from './rounds.ts';
