import { Refusal } from '@bulla/verifier';

/** The code with which `run` refuses, or `accepted`. Anything thrown that is not a refusal is a failure. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
  return 'accepted';
}
