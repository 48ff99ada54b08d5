import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { PrivateJwk } from '@bulla/verifier';

/** Folder that `admin.ts` fills and the other examples read. */
export const folder: string = process.env['BULLA_EXAMPLES'] ?? '.bulla/examples';

/** What an API team and an agent are told by their admin. */
export interface Settings {
  /** The trust log to believe. */
  readonly account: string;
  /** Origin of the issuer. */
  readonly issuer: string;
  /** Lets the API follow the log. */
  readonly readToken: string;
  /** File that pins the log. */
  readonly lock: string;
  /** What the API is called in the log; here also where it listens. */
  readonly audience: string;
  readonly agent: { readonly clientId: string; readonly key: PrivateJwk };
}

export function readSettings(): Settings {
  return JSON.parse(readFileSync(path.join(folder, 'settings.json'), 'utf8')) as Settings;
}
