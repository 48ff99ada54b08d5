import { connect, type Socket } from 'node:net';
import { observe } from './leaks.ts';

/** An answer as it came over the socket. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; of a repeated field the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** `code` of a problem; empty where there is none. */
  readonly code: string;
}

/** Opens a connection to `127.0.0.1:port`. */
export function dial(host: string): Socket {
  const [name, port] = host.split(':');
  return connect(Number(port), name);
}

/** Everything that the other side sends until it closes; a reset after its last byte is also an end. */
export async function readAll(socket: Socket): Promise<string> {
  let answer = '';
  try {
    for await (const chunk of socket) answer += (chunk as Buffer).toString('latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  }
  return answer;
}

/** Sends header lines and content as they are, and waits for the other side to close. */
export async function sendRaw(host: string, lines: readonly string[], content = ''): Promise<RawAnswer> {
  const socket = dial(host);
  socket.write(`${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${content}`, 'latin1');
  return parseAnswer(await readAll(socket));
}

export function parseAnswer(bytes: string): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  const [statusLine = '', ...fields] = bytes.slice(0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim();
  }
  const content = bytes.slice(end + 4);
  const text = headers['transfer-encoding'] === 'chunked' ? dechunk(content) : content;
  observe('an answer', text);
  const code = /"code":"([a-z_]+)"/u.exec(text)?.[1] ?? '';
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    text: Buffer.from(text, 'latin1').toString(),
    code,
  };
}

function dechunk(content: string): string {
  let text = '';
  let rest = content;
  for (;;) {
    const line = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (!(size > 0)) return text;
    text += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 4 + size);
  }
}

/** Content in one chunk, with trailer fields where given. */
export function chunked(text: string, trailers = ''): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n0\r\n${trailers}\r\n`;
}
