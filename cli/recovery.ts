import { type PublicJwk, parsePublicJwk, type Signer } from '@bulla/verifier';
import { isJsonObject, parseJson } from '@bulla/verifier/envelope';
import { cosign, type Operation, parseRequest } from '@bulla/verifier/log';
import { CliError } from './errors.ts';
import type { Ledger } from './ledger.ts';

/** Who asks others to let a new key in for them. Nobody has signed it: the words of the key are what is compared. */
export interface RecoveryAsk {
  readonly account: string;
  /** `prn_…`. */
  readonly recover: string;
  readonly key: PublicJwk;
}

/** What goes round among those who recover: first an ask, then a request that each of them signs. */
export type RecoveryPaper =
  | { readonly ask: RecoveryAsk; readonly request?: never }
  | { readonly ask: RecoveryAsk; readonly request: string };

/** A request goes round among people; the longest a log takes is a week. */
const signingSeconds = 3 * 86_400;

/** @throws {CliError} `argument_invalid` for what is neither an ask nor a request of `key.recover`. */
export function readRecoveryPaper(text: string): RecoveryPaper {
  try {
    if (text.trimStart().startsWith('{')) return { ask: readAsk(parseJson(Buffer.from(text))) };
    const request = text.trim();
    const { op, account } = parseRequest(request);
    if (op.type === 'key.recover') return { ask: { account, recover: op.principal, key: op.key }, request };
  } catch {
    // Falls through: what is wrong with it says nothing to whoever was handed it.
  }
  throw new CliError('argument_invalid', 'the file is not about a recovery');
}

function readAsk(value: unknown): RecoveryAsk {
  if (!isJsonObject(value)) throw new TypeError('not an object');
  const { account, recover, key } = value;
  if (typeof account !== 'string' || typeof recover !== 'string') throw new TypeError('not an ask');
  return { account, recover, key: parsePublicJwk(key).jwk };
}

/** The text of an ask, for a file that is handed on. */
export function writeRecoveryAsk(ask: RecoveryAsk): string {
  return `${JSON.stringify(ask, null, 2)}\n`;
}

/** Adds the signature of one of those who recover. The first makes the request, about the person as they are now. */
export function signRecovery(ledger: Ledger, { ask, request }: RecoveryPaper, signer: Signer): string {
  if (request !== undefined) return cosign(request, signer);
  return ledger.signRequest(recoveryOf(ask), signer, [], signingSeconds);
}

/** The operation that is asked for. */
export function recoveryOf({ recover, key }: RecoveryAsk): Operation {
  return { type: 'key.recover', principal: recover, key };
}
