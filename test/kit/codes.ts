import { Refusal } from '@bulla/verifier';

/** The code with which `run` refuses, or `accepted`. Any other error is a fault of the code under test. */
export function codeOf(run: () => unknown): string {
  try {
    run();
    return 'accepted';
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}
