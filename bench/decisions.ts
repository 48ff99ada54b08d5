import type { Access, Verifier, WireRequest } from '@bulla/verifier';
import { narrowTo, signBlock } from '@bulla/verifier/envelope';
import { algorithmOf, joseRow } from './peers.ts';
import { accessTo, askedAction, type PolicyShape, policySet } from './policies.ts';
import type { Call, Scenario } from './rounds.ts';
import { type Curve, World } from './world.ts';

interface Decided {
  readonly name: string;
  readonly curve: Curve;
  readonly shape: PolicyShape;
  /** `warm`: the verifier has seen each envelope. `cold`: it has seen none. */
  readonly seen: 'warm' | 'cold';
  /** Envelopes used in turn by a warm row. Default 1. */
  readonly envelopes?: number;
  /** Another document in each request, so that no answer of Cedar is remembered. */
  readonly asked?: boolean;
  /** With the agent library's own block: `narrowTo` of what was asked, another folder in each envelope. */
  readonly narrow?: boolean;
}

interface Minted {
  readonly envelope: string;
  readonly access: Access;
}

/** Our full decision. Envelopes, proofs and requests are made before the clock runs. */
function decisionScenario(decided: Decided): Scenario {
  const { curve, shape, seen } = decided;
  const world = new World({ policy: policySet(shape), curve });
  const verifier = world.verifier();
  let issued = 0;
  const mint = (): Minted => {
    if (decided.narrow !== true) return { envelope: world.envelope(), access: accessTo(shape.entities) };
    issued += 1;
    const folder = String(issued);
    return { envelope: withBlock(world, folder), access: accessTo(shape.entities, folder) };
  };
  let rotation: Minted[] | undefined;
  let turn = 0;
  return {
    name: `decision.${seen}.${decided.name}.${algorithmOf[curve]}`,
    against: [joseRow(curve)],
    prepare: async (calls) => {
      if (seen === 'warm' && rotation === undefined) {
        rotation = Array.from({ length: decided.envelopes ?? 1 }, mint);
        for (const { envelope, access } of rotation)
          await allowed(verifier, world.request(envelope), access)();
      }
      return Array.from({ length: calls }, () => {
        turn += 1;
        const { envelope, access } = rotation?.[turn % rotation.length] ?? mint();
        const asked = decided.asked === true ? accessTo(shape.entities, undefined, String(turn)) : access;
        return allowed(verifier, world.request(envelope), asked);
      });
    },
  };
}

/** The block that the agent library adds to each envelope it gets. */
function withBlock(world: World, folder: string): string {
  const details = [
    {
      type: 'bulla' as const,
      actions: [askedAction],
      resources: [{ type: 'Folder', id: folder }],
    },
  ];
  const next = world.agent.publicKey.jwk;
  return signBlock(
    world.envelope(),
    { next, iat: Math.floor(world.now), depth: 14, narrow: narrowTo(details) },
    world.agent,
  );
}

export function allowed(verifier: Verifier, request: WireRequest, access: Access): Call {
  return async () => {
    const decision = await verifier.decide(request, access);
    if (!decision.allowed) throw new Error('a request that should be allowed was denied');
  };
}

export function decisionScenarios(curve: Curve): Scenario[] {
  const shape = (policies: number, entities: PolicyShape['entities']): PolicyShape => ({
    policies,
    entities,
  });
  const warm = (name: string, of: PolicyShape, more: Partial<Decided> = {}): Scenario =>
    decisionScenario({ name, curve, shape: of, seen: 'warm', ...more });
  return [
    warm('p10.e1', shape(10, 1)),
    warm('p1.e1', shape(1, 1)),
    warm('p100.e1', shape(100, 1)),
    warm('p10.e0', shape(10, 0)),
    warm('p10.e3', shape(10, 3)),
    warm('p10.e20', shape(10, 20)),
    warm('p10.e0.asked', shape(10, 0), { asked: true }),
    warm('p10.e1.asked', shape(10, 1), { asked: true }),
    warm('p10.e3.asked', shape(10, 3), { asked: true }),
    warm('p10.e20.asked', shape(10, 20), { asked: true }),
    warm('p100.e1.asked', shape(100, 1), { asked: true }),
    warm('p10.e1.allcover', { ...shape(10, 1), allCover: true }),
    warm('p10.e1.narrow', shape(10, 1), { narrow: true }),
    warm('p10.e1.envelopes100', shape(10, 1), { envelopes: 100 }),
    warm('p10.e1.envelopes10000', shape(10, 1), { envelopes: 10_000 }),
    decisionScenario({ name: 'p10.e1', curve, shape: shape(10, 1), seen: 'cold' }),
    decisionScenario({ name: 'p10.e1.narrow', curve, shape: shape(10, 1), seen: 'cold', narrow: true }),
  ];
}
