export type { PolicySetDocument } from './document.ts';
