import { Refusal, type WireRequest } from '@bulla/verifier';
import type { Answer } from '@bulla/verifier/adapter';
import { inspect, isJsonObject, type JsonObject } from '@bulla/verifier/envelope';
import { GuardRefusal } from './codes.ts';
import { readJsonContent } from './content.ts';
import { type Expectation, type Judged, type JudgeOptions, judge, refused } from './judge.ts';
import { type Asked, type Headers, valuesOf } from './wire.ts';

/** The evaluation that a policy enforcement point asks for. */
interface Evaluation {
  readonly subject: { readonly type: string; readonly id: string };
  readonly action: string;
  readonly resource: { readonly type: string; readonly id: string };
  readonly request: WireRequest;
}

/**
 * OpenID AuthZEN 1.0, Access Evaluation (docs/spec/guard.md section 6). The HTTP request that is asked about travels in
 * `context.request` and is decided exactly as if it had been made; subject, action and resource must agree with it.
 * Unknown members are ignored, as AuthZEN demands.
 */
export async function answerAuthzen(options: JudgeOptions, asked: Asked): Promise<Answer> {
  const echo = valuesOf(asked.headers, 'x-request-id').slice(0, 1);
  const named = Object.fromEntries(echo.map((id) => ['x-request-id', id]));
  try {
    const judged = await evaluate(options, asked);
    return {
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...named },
      body: JSON.stringify(inWords(judged)),
    };
  } catch (error) {
    if (!(error instanceof GuardRefusal)) throw error;
    return {
      status: 400,
      headers: { 'content-type': 'text/plain', ...named },
      body: `${error.code}: ${error.message}`,
    };
  }
}

/** The metadata document (AuthZEN section 9). `identifier`: an https origin. */
export function authzenMetadata(identifier: string): string {
  return JSON.stringify({
    policy_decision_point: identifier,
    access_evaluation_endpoint: `${identifier}/access/v1/evaluation`,
  });
}

async function evaluate(options: JudgeOptions, asked: Asked): Promise<Judged> {
  const evaluation = parseEvaluation(asked);
  if (evaluation === undefined) {
    return refused(new GuardRefusal('evaluation_request_missing', '`context.request` is missing'));
  }
  const { request, subject } = evaluation;
  // Unverified, and only compared: no proof is spent for a question that has its answer already.
  const claimed = claimedSubject(request.headers);
  const isSubject = (id: string | undefined): boolean => subject.type === principalType && subject.id === id;
  if (claimed !== undefined && !isSubject(claimed)) return refused(mismatch('subject'));
  const judged = await judge(options, request, expectationOf(evaluation));
  if (judged.allowed && !isSubject(judged.grant?.subject)) return refused(mismatch('subject'));
  return judged;
}

const principalType = 'User';

function mismatch(part: 'subject' | 'action' | 'resource'): GuardRefusal {
  return new GuardRefusal(`evaluation_${part}_mismatch`, `\`${part}\` does not agree with the request`);
}

function expectationOf({ action, resource }: Evaluation): Expectation {
  return {
    action: (asked) => {
      if (asked !== action) throw mismatch('action');
    },
    resource: ({ type, id }) => {
      if (type !== resource.type || id !== resource.id) throw mismatch('resource');
    },
  };
}

/** undefined where there is no envelope that can be read: what is wrong with it is the verifier's to say. */
function claimedSubject(headers: Headers): string | undefined {
  const [authorization = '', ...more] = valuesOf(headers, 'authorization');
  if (more.length > 0) return undefined;
  try {
    return inspect(authorization.replace(/^dpop +/iu, '')).root.sub;
  } catch {
    return undefined;
  }
}

function inWords(judged: Judged): Record<string, unknown> {
  if (judged.allowed) {
    const { subject, agent, actors, envelopeId, expiresAt } = judged.grant ?? {};
    return { decision: true, context: { subject, agent, actors, grant: envelopeId, expires_at: expiresAt } };
  }
  const { status, headers, body } = judged.problem;
  const problem = JSON.parse(body) as { readonly detail?: string; readonly title: string };
  const { detail, title } = problem;
  return {
    decision: false,
    context: { code: judged.code, reason: detail ?? title, answer: { status, headers, problem } },
  };
}

/** @returns undefined where `context.request` is not there. @throws {GuardRefusal} `evaluation_invalid`. */
function parseEvaluation({ headers, body }: Asked): Evaluation | undefined {
  const [type = ''] = valuesOf(headers, 'content-type');
  if (!/^application\/json(?:\s*;|$)/iu.test(type)) throw malformed('content-type');
  const content = parseContent(body);
  const subject = objectAt(content, 'subject');
  const action = objectAt(content, 'action');
  const resource = objectAt(content, 'resource');
  const context = content['context'] === undefined ? {} : objectAt(content, 'context');
  const named = {
    subject: { type: textAt(subject, 'type', 'subject.type'), id: textAt(subject, 'id', 'subject.id') },
    action: textAt(action, 'name', 'action.name'),
    resource: { type: textAt(resource, 'type', 'resource.type'), id: textAt(resource, 'id', 'resource.id') },
  };
  if (context['request'] === undefined) return undefined;
  return { ...named, request: parseRequest(objectAt(context, 'request')) };
}

function parseContent(body: Uint8Array): JsonObject {
  try {
    const content = readJsonContent(body);
    if (isJsonObject(content)) return content;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  throw malformed('evaluation');
}

/** `context.request`: what a proxy would have handed over. */
function parseRequest(given: JsonObject): WireRequest {
  const headers = given['headers'];
  if (!isHeaders(headers)) throw malformed('context.request.headers');
  const base64 = given['body'] === undefined ? '' : textAt(given, 'body', 'context.request.body');
  const body = Buffer.from(base64, 'base64');
  if (body.toString('base64') !== base64) throw malformed('context.request.body');
  const [length] = valuesOf(headers, 'content-length');
  const chunked = valuesOf(headers, 'transfer-encoding').length > 0;
  // Content of a length that nobody announced is whole only where the caller spells it out.
  const whole =
    length === undefined
      ? !chunked || given['body'] !== undefined
      : length === String(body.length) && !chunked;
  if (!whole) throw malformed('context.request.body');
  return {
    method: textAt(given, 'method', 'context.request.method'),
    target: textAt(given, 'target', 'context.request.target'),
    headers,
    body: new Uint8Array(body),
  };
}

function isHeaders(value: unknown): value is Headers {
  return (
    Array.isArray(value) &&
    value.every(
      (field: unknown) =>
        Array.isArray(field) && field.length === 2 && field.every((part) => typeof part === 'string'),
    )
  );
}

function objectAt(given: JsonObject, name: string): JsonObject {
  const value = given[name];
  if (!isJsonObject(value)) throw malformed(name);
  return value;
}

function textAt(given: JsonObject, name: string, at: string): string {
  const value = given[name];
  if (typeof value !== 'string') throw malformed(at);
  return value;
}

function malformed(at: string): GuardRefusal {
  return new GuardRefusal('evaluation_invalid', `\`${at}\` is missing or malformed`);
}
