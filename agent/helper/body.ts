import type { IncomingMessage } from 'node:http';
import { AgentError } from '../errors.ts';

/** Reads the content whole. @throws {AgentError} `helper_body_too_large`; `helper_request_invalid` where it breaks off. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Leaving the loop must not destroy the socket: the refusal has to be answered.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) break;
      chunks.push(chunk);
    }
  } catch {
    throw new AgentError('helper_request_invalid', 'the content broke off');
  }
  if (size > maxBytes) throw new AgentError('helper_body_too_large', `content is over ${maxBytes} bytes`);
  return Buffer.concat(chunks);
}
