import { createIssuer, type Issuer, parseConfig } from '@bulla/issuer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { IssuerWorld, readToken } from '../kit/issuer.ts';

let alpha: IssuerWorld;
let beta: IssuerWorld;
let issuer: Issuer;

beforeAll(async () => {
  alpha = await IssuerWorld.create();
  beta = await IssuerWorld.create({
    config: { database: alpha.config.database },
  });
  await alpha.issuer.close();
  await beta.issuer.close();
  const closed = beta.config.accounts.map((account) => ({ ...account, readTokens: [] }));
  const accounts = [...alpha.config.accounts, ...closed];
  issuer = await createIssuer(parseConfig({ ...alpha.config, accounts }), alpha.ports);
  alpha.issuer = issuer;
  beta.issuer = issuer;
});
afterAll(async () => {
  await issuer.close();
  await alpha.start();
  await beta.start();
  await Promise.all([alpha.remove(), beta.remove()]);
});

test('two accounts on one issuer serve their own', async () => {
  expect((await alpha.token()).status).toBe(200);
  expect((await beta.token()).status).toBe(200);
  expect(await (await issuer.app.request('/healthz')).json()).toMatchObject({
    healthy: true,
    accounts: [{ account: alpha.ledger.account }, { account: beta.ledger.account }],
  });
});
test("an account's agent, read token, entries and policies mean nothing in another", async () => {
  const foreign = await beta.token({ client: alpha.agent });
  expect(await foreign.json()).toMatchObject({ code: 'client_unauthenticated' });
  const misdirected = await beta.token({ claims: { aud: alpha.issuerId } });
  expect(await misdirected.json()).toMatchObject({ code: 'client_unauthenticated' });
  expect((await beta.get('/log/entries?from=0', readToken)).status).toBe(401);
  alpha.ledger.group('elsewhere');
  const { ledger } = alpha;
  const crossed = await issuer.app.request(`${alpha.base}/log/entries`, {
    method: 'POST',
    headers: { authorization: `Bearer ${readToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ leaf: beta.ledger.leaves[1] }),
  });
  expect(await crossed.json()).toMatchObject({ code: 'rule_account_mismatch' });
  expect((await alpha.postLeaf(ledger.lastLeaf)).status).toBe(201);
});
