import {
  createSigner,
  generatePrivateJwk,
  Refusal,
  type Signer,
  type Verifier,
  type WireRequest,
} from '@bulla/verifier';
import { encodeBase64url, type Json, signBlock } from '@bulla/verifier/envelope';
import { allowed } from './decisions.ts';
import { accessTo, policySet } from './policies.ts';
import type { Call, Scenario } from './rounds.ts';
import { World } from './world.ts';

/** As many blocks, or policies in one block, as fit into an envelope of `maxEnvelopeBytes`. */
const blocksInFull = 14;
const policiesInFull = 18;

const plainAllow = 'allow.cold.plain';
const chainAllow = 'allow.cold.chain';
const narrowAllow = 'allow.cold.narrow';

/** A block; where nothing is said the agent hands the envelope to itself. */
interface Link {
  readonly policies?: readonly Json[];
  readonly depth?: number;
  readonly next?: Signer;
  readonly holder?: Signer;
}

/** Everything an attack needs: one API, and a verifier per row, so that no row warms another's caches. */
class Target {
  readonly world: World = new World({ policy: policySet({ policies: 10, entities: 1 }) });
  readonly verifier: Verifier = this.world.verifier();

  /** A root and a full chain of blocks, each signed by the holder before: keys never seen, the last again the agent's. */
  chain(): string {
    let envelope = this.world.envelope({ depth: blocksInFull });
    let holder = this.world.agent;
    for (let depth = blocksInFull - 1; depth >= 0; depth -= 1) {
      const next = depth === 0 ? this.world.agent : createSigner(generatePrivateJwk());
      envelope = this.block(envelope, { depth, next, holder });
      holder = next;
    }
    return envelope;
  }

  block(envelope: string, { policies, depth = 0, next, holder }: Link = {}): string {
    const block = {
      next: (next ?? this.world.agent).publicKey.jwk,
      iat: Math.floor(this.world.now),
      depth,
      ...(policies !== undefined && { narrow: policies }),
    };
    return signBlock(envelope, block, holder ?? this.world.agent);
  }

  /** An envelope whose one block holds this many forbids, different from all before. */
  narrowed(count: number, of: (index: number) => Json): string {
    const policies = Array.from({ length: count }, (_, index) => of(index));
    return this.block(this.world.envelope({ depth: 1 }), { policies });
  }

  /** A call that must be refused with this code, or denied. */
  refused(request: WireRequest, outcome: string): Call {
    return async () => {
      let came: string;
      try {
        came = (await this.verifier.decide(request, accessTo(1))).allowed ? 'allow' : 'deny';
      } catch (error) {
        came = error instanceof Refusal ? error.code : String(error);
      }
      if (came !== outcome) throw new Error(`attack should end in \`${outcome}\`, ended in \`${came}\``);
    };
  }
}

/** A `forbid` about one folder, as JSON. `serial` makes it a policy of its own. */
function forbid(attr: string, serial: string): Json {
  const body = { '==': { left: { '.': { left: { Var: 'context' }, attr } }, right: { Value: serial } } };
  const any = { op: 'All' };
  return {
    effect: 'forbid',
    principal: any,
    action: any,
    resource: any,
    conditions: [{ kind: 'when', body }],
  };
}

interface Attack {
  readonly name: string;
  readonly against: string;
  readonly calls?: number;
  readonly outcome: string;
  /** Called once for each request. */
  readonly make: (target: Target, serial: number) => WireRequest;
}

const stranger = createSigner(generatePrivateJwk());

const attacks: readonly Attack[] = [
  {
    name: 'envelope.oversized',
    against: narrowAllow,
    outcome: 'envelope_too_large',
    make: ({ world }) => world.request(`${world.envelope()}~${'A'.repeat(12_000)}`),
  },
  {
    name: 'envelope.deep',
    against: narrowAllow,
    outcome: 'json_invalid',
    make: ({ world }, serial) => world.request(`${world.envelope()}~${nested(2000, serial)}`),
  },
  {
    name: 'envelope.garbage',
    against: narrowAllow,
    outcome: 'json_invalid',
    make: ({ world }, serial) => {
      const text = encodeBase64url(Buffer.from(`{"serial":${String(serial)},${'"a":1,'.repeat(600)}`));
      return world.request(`${world.envelope()}~${text}.${text.slice(0, 400)}.${'A'.repeat(86)}`);
    },
  },
  {
    name: 'root.forged',
    against: plainAllow,
    outcome: 'envelope_signature_invalid',
    make: ({ world }) => world.request(forged(world.envelope())),
  },
  {
    name: 'root.by-stranger',
    against: plainAllow,
    outcome: 'mint_not_trusted',
    make: ({ world }) => world.request(world.envelope({}, stranger)),
  },
  {
    name: 'blocks.last-forged',
    against: chainAllow,
    calls: 20,
    outcome: 'envelope_signature_invalid',
    make: (target) => target.world.request(forged(target.chain())),
  },
  {
    name: 'narrow.denies',
    against: narrowAllow,
    calls: 20,
    outcome: 'deny',
    make: (target, serial) =>
      target.world.request(
        target.narrowed(policiesInFull, (index) =>
          forbid('key', index === policiesInFull - 1 ? 'logged' : `${String(serial)}.${String(index)}`),
        ),
      ),
  },
  {
    name: 'narrow.last-invalid',
    against: narrowAllow,
    calls: 20,
    outcome: 'policy_not_valid',
    make: (target, serial) =>
      target.world.request(
        target.narrowed(policiesInFull, (index) =>
          forbid(index === policiesInFull - 1 ? 'depth' : 'key', `${String(serial)}.${String(index)}`),
        ),
      ),
  },
  {
    name: 'proof.forged',
    against: plainAllow,
    outcome: 'proof_signature_invalid',
    make: ({ world }) => withProof(world.request(world.envelope()), forged),
  },
  {
    name: 'proof.by-stranger',
    against: plainAllow,
    outcome: 'proof_key_mismatch',
    make: ({ world }) => world.request(world.envelope(), createSigner(generatePrivateJwk())),
  },
  {
    name: 'proof.oversized',
    against: plainAllow,
    outcome: 'proof_too_large',
    make: ({ world }) => withProof(world.request(world.envelope()), (proof) => proof + 'A'.repeat(8000)),
  },
];

/** Attacks beside cold allows of the same size: nobody can make the verifier work harder by being refused. */
export function attackScenarios(): Scenario[] {
  return [
    peer(plainAllow, ({ world }) => world.envelope()),
    peer(chainAllow, (target) => target.chain(), 20),
    peer(
      narrowAllow,
      (target, serial) =>
        target.narrowed(policiesInFull, (index) => forbid('key', `${String(serial)}.${String(index)}`)),
      20,
    ),
    ...attacks.map(scenarioOf),
    replay(),
  ];
}

function peer(name: string, envelope: (target: Target, serial: number) => string, calls?: number): Scenario {
  const target = new Target();
  let serial = 0;
  return {
    name,
    against: [],
    ...(calls !== undefined && { calls }),
    prepare: (count) =>
      Array.from({ length: count }, () => {
        serial += 1;
        return allowed(target.verifier, target.world.request(envelope(target, serial)), accessTo(1));
      }),
  };
}

function scenarioOf({ name, against, calls, outcome, make }: Attack): Scenario {
  const target = new Target();
  let serial = 0;
  return {
    name: `attack.${name}`,
    against: [against],
    ...(calls !== undefined && { calls }),
    prepare: (count) =>
      Array.from({ length: count }, () => {
        serial += 1;
        return target.refused(make(target, serial), outcome);
      }),
  };
}

/** A request that was allowed, again and again. */
function replay(): Scenario {
  const target = new Target();
  let used: WireRequest | undefined;
  return {
    name: 'attack.proof.replayed',
    against: [plainAllow],
    prepare: async (count) => {
      if (used === undefined) {
        used = target.world.request(target.world.envelope());
        await allowed(target.verifier, used, accessTo(1))();
      }
      const again = used;
      return Array.from({ length: count }, () => target.refused(again, 'proof_replayed'));
    },
  };
}

/** A block whose `narrow` is this deep. No library writes one. */
function nested(depth: number, serial: number): string {
  const header = encodeBase64url(Buffer.from('{"alg":"EdDSA","typ":"bulla-block+jwt"}'));
  const narrow = '['.repeat(depth) + String(serial) + ']'.repeat(depth);
  return `${header}.${encodeBase64url(Buffer.from(`{"narrow":${narrow}}`))}.${'A'.repeat(86)}`;
}

/** The same text with another signature at its end. */
function forged(text: string): string {
  const cut = text.lastIndexOf('.') + 1;
  const signature = Buffer.from(text.slice(cut), 'base64url');
  signature[0] = (signature[0] ?? 0) ^ 1;
  return text.slice(0, cut) + encodeBase64url(signature);
}

function withProof(request: WireRequest, change: (proof: string) => string): WireRequest {
  return {
    ...request,
    headers: request.headers.map(([name, value]) => [name, name === 'dpop' ? change(value) : value] as const),
  };
}
