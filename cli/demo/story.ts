import { randomUUID } from 'node:crypto';
import { type Agent, createAgent } from '@bulla/agent';
import type { Receipt, Signer } from '@bulla/verifier';
import { createProof, inspect, signBlock, signRoot } from '@bulla/verifier/envelope';
import { newSigner, type Stage } from './stage.ts';

/** One thing that was tried, and what came of it. */
export interface Scene {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Line {
  readonly outcome: 'done' | 'allowed' | 'refused';
  readonly text: string;
  /** Code of the refusal, or ids of the deciding policies. */
  readonly because?: string;
}

/** What an attempt must end in for the story to be true. */
type Expected = 'allowed' | { readonly refused: string };

/** The story of the demo. Each scene throws if the system did not do what it says. */
export class Story {
  readonly #stage: Stage;
  readonly #agent: Agent;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#agent = agentOf(stage);
  }

  stageIsSet(): Scene {
    const { account, alice, agent, policies, ledger } = this.#stage;
    return {
      title: 'An account, a person, her agent, a policy: all in a log that only the admin key widens',
      lines: [
        { outcome: 'done', text: `account ${account}` },
        { outcome: 'done', text: `person ${alice}, in the group buyers, team blue` },
        { outcome: 'done', text: `agent ${agent.id}, owned by her, with a key of its own` },
        { outcome: 'done', text: `policies ${policies.join(', ')}` },
        { outcome: 'done', text: `${ledger.trust.size} entries, each seen in a signed checkpoint` },
      ],
    };
  }

  async mint(): Promise<Scene> {
    const { root, blocks } = inspect(await this.#agent.envelope());
    return {
      title: 'The agent exchanges its key for a capability',
      lines: [
        { outcome: 'done', text: `capability ${root.jti} for ${root.aud.join(', ')}` },
        {
          outcome: 'done',
          text: `good for ${root.exp - root.iat} s, may be narrowed ${root.depth} times, has ${blocks.length} further blocks`,
        },
        { outcome: 'done', text: `bound to policy ${root.policy.slice(0, 24)}… and to the agent's key` },
      ],
    };
  }

  async use(): Promise<Scene> {
    return {
      title: 'It is used: each request carries a proof for exactly this request',
      lines: [
        await this.#call(this.#agent.fetch, 'read order 7', 'GET', '/orders/7', undefined, 'allowed'),
        await this.#call(this.#agent.fetch, 'place an order of 450', 'POST', '/orders', 450, 'allowed'),
      ],
    };
  }

  async policySaysNo(): Promise<Scene> {
    const refused = { refused: 'policy_denied' };
    return {
      title: 'The policy says no, and why',
      lines: [await this.#call(this.#agent.fetch, 'place an order of 900', 'POST', '/orders', 900, refused)],
    };
  }

  async narrow(): Promise<Scene> {
    const { agent } = this.#stage;
    const helper = newSigner();
    const onlyRead = {
      effect: 'forbid',
      principal: { op: 'All' },
      action: { op: 'All' },
      resource: { op: 'All' },
      conditions: [
        {
          kind: 'unless',
          body: {
            '==': {
              left: { Var: 'action' },
              right: { Value: { __entity: { type: 'Action', id: 'order.read' } } },
            },
          },
        },
      ],
    };
    const narrowed = signBlock(
      await this.#agent.envelope(),
      { next: helper.publicKey.jwk, iat: now(), depth: 0, narrow: [onlyRead] },
      agent.signer,
    );
    const send = this.#sender(narrowed, helper);
    return {
      title: 'Narrowed offline and handed to a helper: read only, sealed',
      lines: [
        await this.#call(send, 'the helper reads order 7', 'GET', '/orders/7', undefined, 'allowed'),
        await this.#call(send, 'the helper places an order of 1', 'POST', '/orders', 1, {
          refused: 'policy_denied',
        }),
      ],
    };
  }

  async replay(): Promise<Scene> {
    const url = `${this.#stage.api.origin}/orders/7`;
    const { authorization, dpop } = await this.#agent.prove({ method: 'GET', url });
    const send = () => fetch(url, { headers: { authorization, dpop } });
    return {
      title: 'Replayed in vain',
      lines: [
        await this.#call(send, 'a request, recorded on the way', 'GET', '/orders/7', undefined, 'allowed'),
        await this.#call(send, 'the same bytes again', 'GET', '/orders/7', undefined, {
          refused: 'proof_replayed',
        }),
      ],
    };
  }

  async steal(): Promise<Scene> {
    const { api } = this.#stage;
    const mallory = newSigner();
    const stolen = await this.#agent.envelope();
    const recorded = await this.#agent.prove({
      method: 'POST',
      url: `${api.origin}/orders`,
      body: JSON.stringify({ amount: 10 }),
      headers: { 'content-type': 'application/json' },
    });
    const swapped: typeof fetch = (url, init) =>
      fetch(url, {
        ...init,
        headers: {
          'content-type': 'application/json',
          authorization: recorded.authorization,
          dpop: recorded.dpop,
        },
      });
    return {
      title: 'Stolen in vain: the envelope, a recorded proof, even the mint key of the issuer',
      lines: [
        await this.#call(
          this.#sender(stolen, mallory),
          'mallory sends the stolen envelope with a key of hers',
          'GET',
          '/orders/7',
          undefined,
          { refused: 'proof_key_mismatch' },
        ),
        await this.#call(
          swapped,
          'mallory puts an amount of 500 under a recorded proof',
          'POST',
          '/orders',
          500,
          { refused: 'proof_content_mismatch' },
        ),
        await this.#call(
          this.#sender(this.#forge(stolen, mallory), mallory),
          'mallory, with the stolen mint key, mints for a key of hers',
          'GET',
          '/orders/7',
          undefined,
          { refused: 'holder_key_not_live' },
        ),
      ],
    };
  }

  /** What a thief of the issuer's mint key can sign: everything in order but whose key it is. */
  #forge(envelope: string, thief: Signer): string {
    const claims = {
      ...inspect(envelope).root,
      jti: randomUUID(),
      cnf: { jkt: thief.publicKey.thumbprint },
      iat: now(),
      exp: now() + 300,
    };
    return signRoot(claims, this.#stage.mint);
  }

  /** Suspends and resumes the agent `rounds` times; each round ends with the first refusal. */
  async revoke(rounds: number): Promise<Scene & { readonly timing: Timing }> {
    const { agent, ledger } = this.#stage;
    const milliseconds: number[] = [];
    let refusal: Line | undefined;
    for (let round = 1; round <= rounds; round += 1) {
      const fresh = agentOf(this.#stage);
      await this.#call(fresh.fetch, 'before', 'GET', '/orders/7', undefined, 'allowed');
      await ledger.append({ type: 'agent.suspend', agent: agent.id });
      const suspended = performance.now();
      refusal = await this.#firstRefusal(fresh);
      milliseconds.push(performance.now() - suspended);
      if (round === rounds) break;
      const keys = [agent.signer.publicKey.thumbprint];
      await ledger.append({ type: 'agent.resume', agent: agent.id, keys });
      await this.#stage.api.follower.until((trust) => trust.size >= ledger.trust.size);
    }
    const timing = summarise(milliseconds);
    return {
      title: 'Revoked: the admin suspends the agent',
      lines: [
        { outcome: 'done', text: 'the admin tool saw the suspension in a signed checkpoint' },
        ...(refusal === undefined ? [] : [refusal]),
        {
          outcome: 'done',
          text: `time to deny over ${rounds} suspensions: median ${timing.p50} ms, p99 ${timing.p99} ms, longest ${timing.max} ms`,
        },
      ],
      timing,
    };
  }

  get lastReceipt(): Receipt | undefined {
    return this.#stage.api.receipts.at(-1);
  }

  async #firstRefusal(agent: Agent): Promise<Line> {
    for (let attempt = 0; attempt < 10_000; attempt += 1) {
      const response = await agent.fetch(`${this.#stage.api.origin}/orders/7`);
      if (response.ok) continue;
      const { code } = (await response.json()) as { readonly code?: string };
      return { outcome: 'refused', text: 'the agent reads order 7', because: code ?? 'no code' };
    }
    throw new Error('the suspended agent was never refused');
  }

  async #call(
    send: typeof fetch,
    text: string,
    method: string,
    path: string,
    amount: number | undefined,
    expected: Expected,
  ): Promise<Line> {
    const init =
      amount === undefined
        ? { method }
        : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ amount }) };
    const response = await send(`${this.#stage.api.origin}${path}`, init);
    const answer = (await response.json()) as { readonly code?: string; readonly detail?: string };
    const deciding = this.lastReceipt?.reasons.map(({ policy }) => policy).join(', ') ?? '';
    const code = response.ok ? undefined : (answer.code ?? String(response.status));
    if (code !== (expected === 'allowed' ? undefined : expected.refused)) {
      throw new Error(`the demo expected another outcome of: ${text}`);
    }
    if (code === undefined) return { outcome: 'allowed', text, because: deciding };
    const reason = deciding === '' ? '' : ` by ${deciding}`;
    return {
      outcome: 'refused',
      text,
      because: `${code}${reason}${code === 'policy_denied' && answer.detail !== undefined ? `: ${answer.detail}` : ''}`,
    };
  }

  /** Sends with an envelope and a key chosen freely, as a helper or a thief would; once more with the nonce if asked. */
  #sender(envelope: string, signer: Signer): typeof fetch {
    const send = (url: string, init: RequestInit, nonce?: string): Promise<Response> => {
      const body = typeof init.body === 'string' ? init.body : undefined;
      const dpop = createProof({
        method: init.method ?? 'GET',
        url,
        envelope,
        signer,
        now: now(),
        ...(body !== undefined && { body, headers: { 'content-type': 'application/json' } }),
        ...(nonce !== undefined && { nonce }),
      });
      const headers = { 'content-type': 'application/json', authorization: `DPoP ${envelope}`, dpop };
      return fetch(url, { ...init, headers });
    };
    return async (input, init = {}) => {
      const url = input instanceof Request ? input.url : String(input);
      const answer = await send(url, init);
      const nonce = answer.headers.get('dpop-nonce');
      return answer.status === 401 && nonce !== null ? send(url, init, nonce) : answer;
    };
  }
}

export interface Timing {
  readonly rounds: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

function summarise(milliseconds: readonly number[]): Timing {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN) * 10) / 10;
  return { rounds: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

function agentOf(stage: Stage): Agent {
  return createAgent({
    issuer: stage.issuer,
    clientId: stage.agent.id,
    key: stage.agent.key,
    resource: stage.api.origin,
  });
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
