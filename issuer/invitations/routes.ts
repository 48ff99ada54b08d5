import type { Context, Hono } from 'hono';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { readJsonBody, requireText } from '../http/body.ts';
import { createRateLimit, type RateLimit } from '../http/rate.ts';
import type { FindAccount } from '../oauth/routes.ts';
import { completeActivation, lookAt } from './activation.ts';
import { invitationPage } from './mail.ts';

/** A request holds an ID token at most. */
const maxBodyBytes = 65_536;
const failuresPerMinute = 60;

/** What an invited person's own machine asks for: docs/spec/activation.md section 3. */
export function addActivationRoutes(app: Hono, find: FindAccount, now: () => number): void {
  // Of failures alone: a stranger who guesses slows down strangers, a good code is never held up.
  const limit = createRateLimit(failuresPerMinute, now);
  app.get('/a/:account/activate', (c) => {
    const { endpoints } = find(c);
    c.header(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    c.header('Referrer-Policy', 'no-referrer');
    c.header('Cache-Control', 'no-store');
    return c.html(invitationPage(`${endpoints.issuer}/activate`));
  });
  app.post('/a/:account/activation/look', (c) =>
    answered(c, find(c), limit, ['code'], (account, body) =>
      lookAt(account, requireText(body['code'], 'code')),
    ),
  );
  app.post('/a/:account/activation/complete', (c) =>
    answered(c, find(c), limit, ['code', 'request'], async (account, body) => {
      const code = requireText(body['code'], 'code');
      const request = requireText(body['request'], 'request');
      return { read_token: await completeActivation(account, code, request) };
    }),
  );
}

async function answered(
  c: Context,
  account: Account,
  limit: RateLimit,
  members: readonly string[],
  work: (account: Account, body: Readonly<Record<string, unknown>>) => Promise<object>,
): Promise<Response> {
  c.header('Cache-Control', 'no-store');
  try {
    return c.json(await work(account, await readJsonBody(c, maxBodyBytes, members)));
  } catch (error) {
    if (error instanceof IssuerRefusal && error.code === 'activation_code_invalid') {
      account.ports.log({ level: 'warn', event: 'activation.refused', account: account.log.account });
      limit(account.log.account);
    }
    throw error;
  }
}
