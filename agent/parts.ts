import { type AgentOptions, type HandedOptions, type ProvingConfig, readConfig } from './config.ts';
import { acceptEnvelope, acceptHanded } from './envelope.ts';
import { exchange } from './exchange.ts';
import { createHandedHolder, createHolder, type Holder } from './holder.ts';
import { discoverTokenEndpoint } from './metadata.ts';
import { createOriginNonces, type OriginNonces } from './nonces.ts';
import { createProver, type Prover } from './prove.ts';

/** What an agent is made of; the helper is made of the same. */
export interface AgentParts {
  readonly config: ProvingConfig;
  readonly holder: Holder;
  readonly prover: Prover;
  readonly nonces: OriginNonces;
}

/** @throws {AgentError} as `createAgent`. */
export function createParts(options: AgentOptions | HandedOptions): AgentParts {
  const nonces = createOriginNonces();
  if ('envelope' in options) {
    const { config, held } = acceptHanded(options);
    return { config, holder: createHandedHolder(config, held), prover: createProver(config, nonces), nonces };
  }
  const config = readConfig(options);
  let endpoint: URL | undefined;
  const holder = createHolder(config, async () => {
    endpoint ??= await discoverTokenEndpoint(config);
    return acceptEnvelope(config, await exchange(config, endpoint, nonces));
  });
  return { config, holder, prover: createProver(config, nonces), nonces };
}
