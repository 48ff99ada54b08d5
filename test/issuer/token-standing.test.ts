import { describe, expect, test } from 'vitest';
import { audience, IssuerWorld } from '../kit/issuer.ts';
import { newSigner } from '../kit/log.ts';

interface Answer {
  readonly expires_in?: number;
  readonly code?: string;
}

test('a nonce of the issuer is accepted, and demanded where the account says so', async () => {
  const strict = await IssuerWorld.create({ account: { requireDpopNonce: true } });
  try {
    const refused = await strict.token();
    expect(await refused.json()).toMatchObject({ error: 'use_dpop_nonce' });
    const nonce = refused.headers.get('dpop-nonce') ?? '';
    expect((await strict.token({ proofChange: { nonce } })).status).toBe(200);
  } finally {
    await strict.remove();
  }
});

test('a client over its rate is refused, another is not', async () => {
  const slow = await IssuerWorld.create({ now: 1_800_000_000, account: { tokensPerClientPerMinute: 4 } });
  try {
    expect((await slow.token()).status).toBe(200);
    expect((await slow.token()).status).toBe(200);
    const refused = await slow.token();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('15');
    expect((await slow.token({ client: slow.alice })).status).toBe(200);
    slow.ahead = 16;
    expect((await slow.token()).status).toBe(200);
  } finally {
    await slow.remove();
  }
});

describe('what happens to a client in the log', () => {
  test.each([
    ['agent.suspend', 'client_inactive'],
    ['principal.suspend', 'client_inactive'],
    ['key.revoke', 'client_unauthenticated'],
  ] as const)('%s: refused at once', async (type, code) => {
    const own = await IssuerWorld.create();
    try {
      const op = {
        'agent.suspend': { type: 'agent.suspend', agent: own.agent.id },
        'principal.suspend': { type: 'principal.suspend', principal: own.alice.id },
        'key.revoke': { type: 'key.revoke', key: own.agent.signer.publicKey.thumbprint },
      } as const;
      own.ledger.do(op[type]);
      await own.appended(own.ledger.lastLeaf);
      const answer = (await (await own.token()).json()) as Answer;
      expect(answer.code).toBe(code);
    } finally {
      await own.remove();
    }
  });
  test('the end of the lease: 503, and /healthz says why; life is capped before', async () => {
    const short = await IssuerWorld.create({ leaseSeconds: 120, account: { minLeaseSeconds: 30 } });
    try {
      const answer = (await (await short.token()).json()) as Answer;
      expect(answer.expires_in).toBeLessThanOrEqual(120);
      expect((await short.issuer.app.request('/healthz')).status).toBe(200);
      short.ahead = 100;
      expect((await short.token()).status).toBe(503);
      expect(await (await short.issuer.app.request('/healthz')).json()).toMatchObject({
        healthy: false,
        accounts: [{ reasons: expect.arrayContaining(['lease_ending']) as unknown }],
      });
      short.ahead = 130;
      expect(await (await short.token()).json()).toMatchObject({ code: 'mint_unavailable' });
    } finally {
      await short.remove();
    }
  });
});

test('P-256 and Ed25519 agents are served alike', async () => {
  const own = await IssuerWorld.create({ agentKey: newSigner('P-256') });
  try {
    expect((await own.token()).status).toBe(200);
  } finally {
    await own.remove();
  }
});

test('an envelope that the verifier would not take is not handed out', async () => {
  const odd = await IssuerWorld.create({ ports: { randomBytes: (size) => new Uint8Array(size * 20) } });
  try {
    const response = await odd.token();
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ error: 'server_error', code: 'mint_self_check' });
  } finally {
    await odd.remove();
  }
});

test('a key falls with the key that added it, the agent and its other keys do not', async () => {
  const own = await IssuerWorld.create();
  try {
    const { ledger, agent, alice } = own;
    const second = newSigner();
    const subject = `agent/${agent.id}`;
    const added = ledger.ask({ type: 'key.add', subject, key: second.publicKey.jwk }, subject, alice.signer, {
      cosigners: [second],
    });
    await own.appended(ledger.lastLeaf);
    const withSecond = { client: { id: agent.id, signer: second } };
    expect((await own.token(withSecond)).status).toBe(200);
    ledger.do({ type: 'key.revoke', key: alice.signer.publicKey.thumbprint, since: added.seq });
    await own.appended(ledger.lastLeaf);
    expect(((await (await own.token(withSecond)).json()) as Answer).code).toBe('client_unauthenticated');
    const proofOnly = { proofSigner: second };
    expect(((await (await own.token(proofOnly)).json()) as Answer).code).toBe('proof_refused');
    expect((await own.token()).status).toBe(200);
  } finally {
    await own.remove();
  }
});

test('a registered audience outside the lease is refused, and one retired', async () => {
  const own = await IssuerWorld.create();
  try {
    const other = 'https://other.example';
    own.ledger.audience(other);
    await own.appended(own.ledger.lastLeaf);
    const code = async (resource: string[]) =>
      ((await (await own.token({ form: { resource } })).json()) as Answer).code;
    expect(await code([other])).toBe('target_refused');
    expect(await code([other, audience])).toBe('target_refused');
    expect(await code([])).toBeUndefined();
    own.ledger.do({ type: 'audience.retire', audience });
    await own.appended(own.ledger.lastLeaf);
    expect(await code([audience])).toBe('target_refused');
    expect(await code([])).toBe('target_refused');
  } finally {
    await own.remove();
  }
});
