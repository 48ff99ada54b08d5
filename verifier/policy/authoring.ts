export {
  type CaseEntity,
  type CaseResult,
  type PolicyCase,
  type PolicyCases,
  runCases,
} from './cases.ts';
export { compilePolicySet, PolicyTextRefusal, showPolicy, type TextProblem } from './compile.ts';
export { type Delegable, type Finding, lintPolicySet } from './lint.ts';
