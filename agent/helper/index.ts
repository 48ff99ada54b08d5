export {
  type HelperOptions,
  type HelperSecret,
  type RunningHelper,
  startHelper,
} from './start.ts';
export type { StepOptions } from './step.ts';
