import { setTimeout as pause } from 'node:timers/promises';
import { issueScimToken, openLibsqlStore, systemIssuerPorts } from '@bulla/issuer';
import { createSigner, generatePrivateJwk, type Verifier } from '@bulla/verifier';
import { agentIdOf, type Follower, type Operation } from '@bulla/verifier/log';
import type { ResultRow } from './results.ts';
import { Stage } from './stage.ts';
import { type DenyOptions, denyRows, outcomeOf, untilDenied } from './time-to-deny.ts';

const followers = 5;
const connection = 'okta';
const domain = 'corp.example';

/**
 * From the moment when an IdP sends SCIM `active: false` to the first refusal by the last of five verifiers that follow the log,
 * each with a stream of its own: the time that the issuer needs for the request is in it.
 */
export async function measureScimTimeToDeny(options: DenyOptions): Promise<readonly ResultRow[]> {
  const stage = await ScimStage.open();
  const times: number[] = [];
  try {
    for (let run = 1; run <= options.runs; run += 1) {
      options.onRun?.('scim', run);
      times.push(await stage.timeOnce());
    }
  } finally {
    await stage.close();
  }
  return denyRows('deny.scim', times);
}

/** Somebody whom an IdP provisioned over SCIM, their agent, and five APIs. */
class ScimStage {
  readonly #stage: Stage;
  readonly #token: string;
  readonly #apis: readonly (readonly [Follower, Verifier])[];
  readonly #key = createSigner(generatePrivateJwk());
  readonly #agentKey = createSigner(generatePrivateJwk());
  #user = '';
  #agent = '';

  private constructor(stage: Stage, token: string, apis: readonly (readonly [Follower, Verifier])[]) {
    this.#stage = stage;
    this.#token = token;
    this.#apis = apis;
  }

  static async open(): Promise<ScimStage> {
    const stage = await Stage.open({
      prepare: (world, keyFile) => {
        const jwk = generatePrivateJwk();
        world.ledger.do({ type: 'domain.trust', domain });
        const operations = ['principal.provision', 'principal.suspend', 'principal.resume'];
        const much = 1000;
        const caps = { provisions: much, provisionsPerHour: much, removals: much, removalsPerHour: much };
        world.grant(createSigner(jwk), operations, { connection, domains: [domain], caps });
        const file = keyFile(connection, jwk);
        return {
          connections: [
            {
              name: connection,
              delegateKeyFile: file,
              groups: {},
              attributes: {},
              welcome: false,
              perMinute: 60_000,
            },
          ],
        };
      },
    });
    const token = await issueToken(stage);
    const apis = await Promise.all(
      Array.from({ length: followers }, () => stage.follow({ transport: 'stream' })),
    );
    const scim = new ScimStage(stage, token, apis);
    await scim.#hire();
    return scim;
  }

  async close(): Promise<void> {
    await Promise.all(this.#apis.map(([follower]) => follower.close()));
    await this.#stage.close();
  }

  /** Provisions over SCIM, confirms as an admin, takes on an agent. */
  async #hire(): Promise<void> {
    const { ledger } = this.#stage.world;
    const person = await this.#scim('POST', '/Users', { userName: `alice@${domain}`, active: true });
    this.#user = person.id;
    await this.#stage.catchUp((read) => read(`principal/${person.id}`) !== undefined);
    const { jwk: key } = this.#key.publicKey;
    await this.#stage.post(ledger.do({ type: 'principal.activate', principal: person.id, key }, [this.#key]));
    const register: Operation = {
      type: 'agent.register',
      owner: person.id,
      kind: 'autonomous',
      key: this.#agentKey.publicKey.jwk,
    };
    const leaf = ledger.ask(register, `principal/${person.id}`, this.#key, this.#agentKey);
    this.#agent = agentIdOf(leaf);
    const staff = { type: 'member.add', group: 'staff', member: `principal/${person.id}` } as const;
    await this.#stage.post(leaf);
    await this.#stage.post(ledger.do(staff));
    const attributes = { team: 'blue' };
    await this.#stage.post(ledger.do({ type: 'principal.update', principal: person.id, attributes }));
    await this.#followed();
  }

  /** Deactivates the person over SCIM, activates them again, and resumes the agent as an admin. @returns milliseconds. */
  async timeOnce(): Promise<number> {
    const { world } = this.#stage;
    const { ledger } = world;
    await pause(Math.random() * 100);
    world.now = Date.now() / 1000;
    const envelope = this.#envelope();
    const before = ledger.read(`principal/${this.#user}`)?.epoch ?? 0;
    const asks = this.#apis.map(([, verifier]) => async () => {
      world.now = Date.now() / 1000;
      return outcomeOf(verifier, world.request(envelope, this.#agentKey));
    });
    for (const ask of asks) {
      if ((await ask()) !== 'allow') throw new Error('the agent should be allowed at first');
    }
    const start = performance.now();
    const [milliseconds] = await Promise.all([untilDenied(asks, start), this.#setActive(false)]);
    await this.#setActive(true);
    await this.#stage.catchUp((read) => read(`principal/${this.#user}`)?.epoch === before + 2);
    const keys = [this.#agentKey.publicKey.thumbprint];
    await this.#stage.post(ledger.do({ type: 'agent.resume', agent: this.#agent, keys }));
    await this.#followed();
    return milliseconds;
  }

  #envelope(): string {
    const { world } = this.#stage;
    const { ledger } = world;
    return world.envelope({
      sub: this.#user,
      client_id: this.#agent,
      cnf: { jkt: this.#agentKey.publicKey.thumbprint },
      epoch: {
        principal: ledger.read(`principal/${this.#user}`)?.epoch ?? 0,
        agent: ledger.read(`agent/${this.#agent}`)?.epoch ?? 0,
      },
    });
  }

  async #setActive(value: boolean): Promise<void> {
    await this.#scim('PATCH', `/Users/${this.#user}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', value: { active: value } }],
    });
  }

  async #scim(method: string, route: string, body: object): Promise<{ readonly id: string }> {
    const schemas = ['urn:ietf:params:scim:schemas:core:2.0:User'];
    const response = await fetch(`${this.#stage.url}/scim/v2${route}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({ schemas, ...body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`SCIM was refused: ${text}`);
    return JSON.parse(text) as { readonly id: string };
  }

  async #followed(): Promise<void> {
    const { leaves } = this.#stage.world.ledger;
    await Promise.all(
      this.#apis.map(async ([follower]) => follower.until((trust) => trust.size === leaves.length)),
    );
  }
}

async function issueToken({ config, world }: Stage): Promise<string> {
  const store = openLibsqlStore(config.database);
  try {
    const account = await store.openAccount(world.ledger.account);
    const notAfter = Math.floor(Date.now() / 1000) + 86_400;
    const given = { connection, scopes: ['users:read', 'users:write'] as const, notAfter };
    return (await issueScimToken(account, given, systemIssuerPorts)).token;
  } finally {
    await store.close();
  }
}
