/** What a client of the Users API may be allowed, by scope; the texts go into the OpenAPI document. */
export const apiScopes = {
  'users:read': 'list people: id, status, suspensions, assurance, groups, keys',
  'profiles:read': 'see the names and addresses of people that `users:read` shows',
  'users:suspend': 'suspend people',
  'users:reactivate': 'take back suspensions of people that this API made',
  'agents:read': 'list agents: id, owner, kind, status, suspensions, keys',
  'agents:suspend': 'suspend agents',
  'agents:reactivate': 'take back suspensions of agents that this API made',
  'keys:revoke': 'revoke keys of people and agents, for ever',
  'audit:read': 'see which client called what, with which outcome',
} as const;

export type ApiScope = keyof typeof apiScopes;

export const apiScopeNames: readonly ApiScope[] = Object.keys(apiScopes) as ApiScope[];
