import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, Hono } from 'hono';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readBody, requireMediaType } from '../http/body.ts';
import type { FindAccount } from '../oauth/routes.ts';
import { setErrorOf } from './answers.ts';
import { maxSetBytes } from './set.ts';
import type { EventStream } from './stream.ts';

/** Where transmitters push security events (RFC 8935): docs/spec/events.md section 3. */
export function addEventRoutes(app: Hono, find: FindAccount): void {
  app.post('/a/:account/events/:stream', async (c) => push(c, find(c)));
}

async function push(c: Context, account: Account): Promise<Response> {
  c.header('Cache-Control', 'no-store');
  try {
    const stream = authenticate(account, c.req.param('stream') ?? '', c.req.header('authorization') ?? '');
    stream.charge('');
    requireMediaType(c.req.raw, 'application/secevent+jwt');
    const body = await readBody(c.req.raw, maxSetBytes);
    await stream.receive(Buffer.from(body).toString('latin1'));
    return c.body(null, 202);
  } catch (error) {
    const answer = setErrorOf(error);
    if (answer === undefined || !(error instanceof IssuerRefusal)) throw error;
    account.ports.log({
      level: 'info',
      event: 'security_event.refused',
      account: account.log.account,
      code: error.code,
    });
    c.header('Content-Language', 'en');
    return c.json(answer, 400);
  }
}

/** One answer for all that is wrong with who delivers: neither names of streams nor how they deliver can be found out. */
function authenticate({ events }: Account, name: string, authorization: string): EventStream {
  const stream = events.get(name);
  const expected = stream !== undefined && 'push' in stream.config.delivery && stream.config.delivery.push;
  const hash = createHash('sha256').update(authorization).digest();
  const known =
    expected === false ? Buffer.alloc(hash.length) : Buffer.from(expected.authorizationSha256, 'base64url');
  if (!timingSafeEqual(known, hash) || stream === undefined) {
    throw new IssuerRefusal('set_sender_wrong', 'transmitter could not be authenticated');
  }
  return stream;
}
