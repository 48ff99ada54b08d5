import type { ServerResponse } from 'node:http';
import { type AgentCode, AgentError } from '../errors.ts';

const statusOf: Partial<Readonly<Record<AgentCode, number>>> = {
  helper_not_found: 404,
  helper_host_wrong: 421,
  helper_browser_refused: 403,
  helper_request_invalid: 400,
  helper_body_too_large: 413,
  origin_not_allowed: 403,
  request_not_provable: 400,
  envelope_sealed: 409,
};

/** Answers one of the helper's own questions. Never cached: it holds an envelope or a proof. */
export function answerJson(response: ServerResponse, document: object): void {
  const body = JSON.stringify(document);
  response.writeHead(200, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}

/** Says no as problem+json (RFC 9457), or breaks off where an answer has begun. Quotes nothing of any message but ours. */
export function answerProblem(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known = error instanceof AgentError;
  const status = known ? (statusOf[error.code] ?? (error.retry ? 503 : 502)) : 500;
  const problem = known
    ? { code: error.code, detail: error.message, reason: error.reason }
    : { code: 'unexpected', detail: 'fault of the helper' };
  const body = JSON.stringify({ type: 'about:blank', status, layer: 'helper', ...problem });
  response.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    // The rest of a body that was refused is not read.
    connection: 'close',
  });
  response.end(body);
}
