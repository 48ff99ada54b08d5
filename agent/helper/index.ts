export {
  type HelperOptions,
  type HelperSecret,
  type RunningHelper,
  startHelper,
} from './helper.ts';
export type { StepOptions } from './step.ts';
