import http from 'node:http';
import { generatePrivateJwk, type Ports } from '@bulla/verifier';
import { type AuthorizationDetail, canonicalJson, isJsonObject, narrowTo } from '@bulla/verifier/envelope';
import { type AgentConfig, readProvingConfig, readUrl, requireDetails } from '../config.ts';
import { type HeldEnvelope, inspectHanded, requireHolder } from '../envelope.ts';
import { AgentError } from '../errors.ts';
import { createHolder } from '../holder.ts';
import { parse, reasonOf } from '../http.ts';
import { createOriginNonces } from '../nonces.ts';
import type { AgentParts } from '../parts.ts';
import { createProver } from '../prove.ts';

/** A helper inside another's: it asks that one for an envelope in place of an issuer. */
export interface StepOptions {
  /** `BULLA_HELPER` of the outer helper: `http://127.0.0.1:<port>/<token>`. */
  readonly helper: string;
  /** `BULLA_SOCKET` of the outer helper, where it listens on a Unix socket. */
  readonly helperSocket?: string;
  /** Audiences, 1 to 8: http(s) URLs among those of the outer envelope. */
  readonly resource: readonly string[];
  /** What this step may do: nothing else is handed to it. Absent or empty: all that the outer one may. */
  readonly authorizationDetails?: readonly AuthorizationDetail[];
  /** Unix seconds after which nothing is handed to it. */
  readonly until?: number;
  readonly bindHeaders?: readonly string[];
  readonly ports?: Ports;
}

const maxAnswerBytes = 65_536;
const timeoutSeconds = 15;

/** @throws {AgentError} `config_invalid`. */
export function createStepParts(options: StepOptions): AgentParts {
  const { helper, helperSocket, until, resource } = options;
  const url = readUrl(`${helper}/delegate`, 'helper');
  const config = readProvingConfig({ ...options, key: generatePrivateJwk() }, resource);
  const details = requireDetails(options.authorizationDetails ?? []);
  const nonces = createOriginNonces();
  const question = {
    jwk: config.signer.publicKey.jwk,
    audience: resource,
    ...(details.length > 0 && { authorization_details: details }),
    ...(until !== undefined && { until }),
  };
  const holder = createHolder({ ...config, renewBeforeSeconds: 30 }, async () =>
    accept({ ...config, resources: resource, details }, await ask(url, helperSocket, question)),
  );
  return { config, holder, prover: createProver(config, nonces), nonces };
}

/** What was handed over must name this step's key, cover its audiences and carry the limits that it asked for. */
function accept(
  config: Pick<AgentConfig, 'signer' | 'ports' | 'resources' | 'details'>,
  envelope: string,
): HeldEnvelope {
  const inspected = inspectHanded(envelope);
  requireHolder(inspected, config.signer);
  const { root, effective } = inspected;
  if (config.resources.some((resource) => !effective.aud.includes(resource))) {
    throw new AgentError('envelope_not_ours', 'the envelope is for another audience');
  }
  // The command can have one of its own from this helper, with all that stands in this one.
  if (effective.aud.some((audience) => !config.resources.includes(audience))) {
    throw new AgentError('narrowing_missing', 'the envelope is for more audiences than were asked for');
  }
  const carried = new Set(effective.narrow.flat().map((policy) => canonicalJson(policy)));
  if (!narrowTo(config.details).every((policy) => carried.has(canonicalJson(policy)))) {
    throw new AgentError('narrowing_missing', 'the envelope lacks the limits that were asked for');
  }
  if (effective.exp <= config.ports.now()) {
    throw new AgentError('envelope_expired', 'the envelope that was handed over has expired');
  }
  return { text: envelope, issuedAt: root.iat, expiresAt: effective.exp };
}

async function ask(url: URL, socketPath: string | undefined, question: object): Promise<string> {
  const { status, body } = await post(url, socketPath, JSON.stringify(question)).catch(() => {
    throw new AgentError('helper_unreachable', 'the outer helper did not answer');
  });
  const answer = parse(body);
  const envelope = isJsonObject(answer) ? answer['envelope'] : undefined;
  if (status === 200 && typeof envelope === 'string') return envelope;
  const code = status === 503 ? 'helper_unreachable' : 'helper_refused';
  throw new AgentError(code, 'the outer helper hands nothing on', { status, reason: reasonOf(answer) });
}

/** `fetch` knows no Unix sockets. */
function post(
  url: URL,
  socketPath: string | undefined,
  body: string,
): Promise<{ readonly status: number; readonly body: string }> {
  const signal = AbortSignal.timeout(timeoutSeconds * 1000);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const where = socketPath === undefined ? {} : { socketPath };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers, signal, agent: false, ...where });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > maxAnswerBytes) response.destroy(new Error('too long'));
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.end(body);
  });
}
