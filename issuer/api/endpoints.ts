import { agentEndpoints } from './agents.ts';
import { auditEndpoints } from './audit.ts';
import type { Endpoint } from './endpoint.ts';
import { keyEndpoints } from './keys.ts';
import { userEndpoints } from './users.ts';

/** Everything that the Users API offers. The routes and the OpenAPI document are made of this list and of nothing else. */
export const endpoints: readonly Endpoint[] = [
  ...userEndpoints,
  ...agentEndpoints,
  ...keyEndpoints,
  ...auditEndpoints,
];
