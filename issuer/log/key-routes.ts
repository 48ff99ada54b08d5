import { createKeyAnswer, type KeyQuestion } from '@bulla/verifier/log';
import type { Context, Hono } from 'hono';
import { IssuerRefusal } from '../errors.ts';
import type { FindAccount } from '../oauth/routes.ts';

/** Which keys the log has for whom, with proofs: docs/spec/keys.md section 3. */
export function addKeyRoutes(app: Hono, find: FindAccount): void {
  app.get('/a/:account/keys/:key', async (c) => {
    const key = parameter(c, 'key', /^[A-Za-z0-9_-]{43}$/u);
    return answer(c, find, { key });
  });
  app.get('/a/:account/people/:principal/keys', async (c) => {
    const principal = parameter(c, 'principal', /^prn_[0-9a-f]{32}$/u);
    return answer(c, find, { principal });
  });
}

async function answer(c: Context, find: FindAccount, question: KeyQuestion): Promise<Response> {
  const account = find(c);
  await account.requireReader(c.req.header('authorization'));
  const { log } = account;
  c.header('Cache-Control', 'no-store');
  return c.json(await log.covered(({ note }) => createKeyAnswer(log.world, note, question)));
}

function parameter(c: Context, name: string, pattern: RegExp): string {
  const value = c.req.param(name) ?? '';
  if (!pattern.test(value)) throw new IssuerRefusal('parameter_invalid', `\`${name}\` is malformed`);
  return value;
}
