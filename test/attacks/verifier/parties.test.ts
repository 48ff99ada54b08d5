import { createVerifier, memoryReplay } from '@bulla/verifier';
import { type RootClaims, signBlock, signRoot } from '@bulla/verifier/envelope';
import { beforeEach, describe, expect, test } from 'vitest';
import { ApiWorld, audience, outcomeOf, readNote } from '../../kit/api.ts';
import { newSigner, type Party } from '../../kit/log.ts';

let world: ApiWorld;
let bob: Party;
let bobsAgent: Party;

beforeEach(() => {
  world = new ApiWorld();
  bob = world.ledger.person({ groups: ['staff'] });
  bobsAgent = world.ledger.agent(bob);
});

const jkt = (party: Party | { readonly signer: Party['signer'] }): RootClaims['cnf'] => ({
  jkt: party.signer.publicKey.thumbprint,
});

/** A person acting with a key of their own. */
function personal(claims: Partial<RootClaims> = {}): RootClaims {
  const { client_id: _client, ...rest } = world.claims({
    cnf: jkt(world.alice),
    epoch: { principal: world.claims().epoch.principal },
    ...claims,
  });
  return rest;
}

describe('a mint key cannot pair keys, agents and people as it likes', () => {
  test('honest pairs are allowed', async () => {
    expect(await world.outcome(world.envelope())).toBe('allow');
    expect(await world.outcome(signRoot(personal(), world.mint), undefined, world.alice.signer)).toBe(
      'allow',
    );
  });

  test.each<[string, () => { claims: Partial<RootClaims>; holder: Party['signer'] }, string]>([
    [
      "bob's logged key for alice's agent",
      () => ({ claims: { cnf: jkt(bob) }, holder: bob.signer }),
      'holder_key_not_live',
    ],
    [
      "the key of bob's agent for alice's agent",
      () => ({ claims: { cnf: jkt(bobsAgent) }, holder: bobsAgent.signer }),
      'holder_key_not_live',
    ],
    [
      "alice's own key as her agent's",
      () => ({ claims: { cnf: jkt(world.alice) }, holder: world.alice.signer }),
      'holder_key_not_live',
    ],
    [
      "bob's agent acting for alice",
      () => ({
        claims: { client_id: bobsAgent.id, cnf: jkt(bobsAgent), epoch: { principal: 1, agent: 0 } },
        holder: bobsAgent.signer,
      }),
      'agent_not_active',
    ],
    [
      "alice's agent acting for bob",
      () => ({ claims: { sub: bob.id }, holder: world.agent.signer }),
      'agent_not_active',
    ],
    [
      'a key in no log',
      () => {
        const signer = newSigner();
        return { claims: { cnf: jkt({ signer }) }, holder: signer };
      },
      'holder_key_not_live',
    ],
    [
      "an admin's key",
      () => ({ claims: { cnf: jkt({ signer: world.ledger.admin }) }, holder: world.ledger.admin }),
      'holder_key_not_live',
    ],
    [
      "the mint's own key",
      () => ({ claims: { cnf: jkt({ signer: world.mint }) }, holder: world.mint }),
      'holder_key_not_live',
    ],
    [
      "the log's key",
      () => ({ claims: { cnf: jkt({ signer: world.ledger.logKey }) }, holder: world.ledger.logKey }),
      'holder_key_not_live',
    ],
    [
      'a person as an agent',
      () => ({ claims: { client_id: world.alice.id }, holder: world.agent.signer }),
      'agent_not_active',
    ],
    [
      'an agent as a person',
      () => ({ claims: { sub: world.agent.id }, holder: world.agent.signer }),
      'subject_not_active',
    ],
    [
      'a group as a person',
      () => ({ claims: { sub: '../group/staff' }, holder: world.agent.signer }),
      'subject_not_active',
    ],
  ])('%s', async (_, build, code) => {
    const { claims, holder } = build();
    expect(await world.outcome(world.envelope(claims), undefined, holder)).toBe(code);
  });

  test("an agent's key where a person acts alone, and the reverse", async () => {
    const borrowed = signRoot(personal({ cnf: jkt(world.agent) }), world.mint);
    expect(await world.outcome(borrowed)).toBe('holder_key_not_live');
    const bobs = signRoot(personal({ cnf: jkt(bob) }), world.mint);
    expect(await world.outcome(bobs, undefined, bob.signer)).toBe('holder_key_not_live');
  });

  test('an epoch of before or after', async () => {
    const { epoch } = world.claims();
    const agent = epoch.agent ?? 0;
    for (const [change, code] of [
      [{ principal: epoch.principal - 1, agent }, 'subject_not_active'],
      [{ principal: epoch.principal + 1, agent }, 'subject_not_active'],
      [{ principal: epoch.principal, agent: agent + 1 }, 'agent_not_active'],
    ] as const) {
      expect(await world.outcome(world.envelope({ epoch: change }))).toBe(code);
    }
  });
});

describe('another account', () => {
  test('with the same keys gives nothing here', async () => {
    const other = new ApiWorld({ agentKey: world.agent.signer });
    const envelope = other.envelope();
    expect(await other.outcome(envelope)).toBe('allow');
    expect(await world.outcome(envelope)).toBe('mint_not_trusted');
  });

  test('served by the same mint key is refused by name', async () => {
    const elsewhere = new ApiWorld();
    elsewhere.ledger.mint([audience], world.mint);
    const envelope = signRoot(elsewhere.claims(), world.mint);
    expect(await elsewhere.outcome(envelope, undefined, elsewhere.agent.signer)).toBe('allow');
    world.ledger.person();
    // Signed by a mint that this account trusts, held by a key that this account knows.
    const mixed = signRoot(elsewhere.claims({ cnf: jkt(world.agent) }), world.mint);
    expect(await world.outcome(mixed)).toBe('account_mismatch');
    const renamed = signRoot(
      elsewhere.claims({ cnf: jkt(world.agent), account: world.ledger.account }),
      world.mint,
    );
    expect(await world.outcome(renamed)).toBe('subject_not_active');
  });
});

describe('another API', () => {
  const other = 'https://other.example';

  test('of the same account does not take an envelope meant for this one', async () => {
    world.ledger.audience(other);
    const verifier = world.verifierWith({ audience: other });
    const envelope = world.envelope();
    expect(await outcomeOf(verifier.decide(world.request({ envelope }), readNote()))).toBe(
      'audience_mismatch',
    );
  });

  test('that a block took out of `aud` stays out', async () => {
    const { ledger } = world;
    ledger.audience(other);
    const mint = ledger.mint([audience, other]);
    const verifier = world.verifierWith({ audience: other });
    const root = world.envelope({ aud: [audience, other] }, mint);
    const block = { next: world.agent.signer.publicKey.jwk, iat: world.now, depth: 1, aud: [audience] };
    const envelope = signBlock(root, block, world.agent.signer);
    expect(await outcomeOf(verifier.decide(world.request({ envelope: root }), readNote()))).toBe('allow');
    expect(await outcomeOf(verifier.decide(world.request({ envelope }), readNote()))).toBe(
      'audience_mismatch',
    );
    expect(await world.outcome(envelope)).toBe('allow');
  });

  test('that was retired, or never registered, takes nothing', async () => {
    world.ledger.audience(other);
    world.ledger.do({ type: 'audience.retire', audience: other });
    for (const name of [other, 'https://nowhere.example', '__proto__', '']) {
      const verifier = world.verifierWith({ audience: name });
      const request = world.request({ envelope: world.envelope() });
      expect(await outcomeOf(verifier.decide(request, readNote()))).toBe('audience_not_active');
    }
  });
});

describe('two capabilities in one request', () => {
  const outcome = (headers: readonly (readonly [string, string])[]) => {
    const request = world.request({ envelope: world.envelope() });
    return outcomeOf(world.decide({ ...request, headers: [...request.headers, ...headers] }));
  };

  test('in two fields', async () => {
    const second = `DPoP ${world.envelope()}`;
    expect(await outcome([['Authorization', second]])).toBe('request_field_repeated');
    expect(await outcome([['AUTHORIZATION', second]])).toBe('request_field_repeated');
    expect(await outcome([['Proxy-Authorization', second]])).toBe('request_field_refused');
  });

  test.each([
    (one: string, two: string) => `DPoP ${one}, DPoP ${two}`,
    (one: string, two: string) => `DPoP ${one} ${two}`,
    (one: string, two: string) => `DPoP ${one},${two}`,
    (one: string, two: string) => `Bearer ${one}, DPoP ${two}`,
    (one: string) => `Bearer ${one}`,
    (one: string) => one,
    () => 'DPoP',
    () => 'DPoP ',
  ])('in one field, or under another scheme (%#)', async (write) => {
    const value = write(world.envelope(), world.envelope());
    const request = world.request({ envelope: world.envelope() });
    const headers = request.headers.map(
      ([name, old]) => [name, name === 'authorization' ? value : old] as const,
    );
    expect(await outcomeOf(world.decide({ ...request, headers }))).toBe('authorization_malformed');
  });

  test('one in the query is refused, one in the content is not looked for', async () => {
    const envelope = world.envelope();
    const request = world.request({ envelope });
    const headers = request.headers.filter(([name]) => name !== 'authorization');
    const inQuery = { ...request, headers, target: `${request.target}?access_token=root~block` };
    expect(await outcomeOf(world.decide(inQuery))).toBe('request_target_invalid');
    const inContent = { ...request, headers, method: 'POST', body: Buffer.from(`access_token=${envelope}`) };
    expect(await outcomeOf(world.decide(inContent))).toBe('envelope_missing');
  });

  test('two proofs', async () => {
    const proof = world.request({ envelope: world.envelope() }).headers.find(([name]) => name === 'dpop');
    expect(await outcome([['DPoP', proof?.[1] ?? '']])).toBe('request_field_repeated');
  });

  test('the proof of one with the envelope of the other', async () => {
    const one = world.request({ envelope: world.envelope() });
    const two = world.request({ envelope: world.envelope() });
    const pick = (from: typeof one, name: string) => from.headers.filter(([field]) => field === name);
    const headers = [...pick(one, 'host'), ...pick(one, 'authorization'), ...pick(two, 'dpop')];
    expect(await outcomeOf(world.decide({ ...one, headers }))).toBe('proof_envelope_mismatch');
  });
});

test('a verifier without its own account is not made', () => {
  const options = { audience, publicOrigins: [audience], trust: world.trust };
  expect(() =>
    createVerifier({ ...options, account: 'acct_other', replay: memoryReplay({ processes: 1 }) }),
  ).toThrow(TypeError);
});
