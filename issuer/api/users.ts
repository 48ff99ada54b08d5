import type { Read } from '@bulla/verifier/log';
import { z } from 'zod';
import type { Account } from '../account.ts';
import { IssuerRefusal } from '../errors.ts';
import { resources } from '../store/directory.ts';
import {
  type ApiCall,
  type Caller,
  changeEndpoint,
  type Endpoint,
  type PlannedChange,
  pageOf,
  readEndpoint,
} from './endpoint.ts';
import { namedPeople } from './named.ts';
import {
  type ApiUser,
  dryRunQuery,
  noPath,
  noQuery,
  pageQuery,
  pageShape,
  userChangeShape,
  userPath,
  userShape,
} from './shapes.ts';
import { leavingWith, sourceOf } from './subject.ts';

const listQuery = z.strictObject({
  ...pageQuery,
  status: z.enum(['pending', 'active', 'suspended', 'deprovisioned']).optional(),
  group: z
    .string()
    .max(64)
    .optional()
    .describe('Name of a group of the trust log: people who are directly in it.'),
  connection: z.string().max(64).optional(),
  user_name: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('`userName` in the directory. Needs `profiles:read`.'),
  external_id: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('`externalId` in the directory. Needs `profiles:read`.'),
  email: z.string().min(1).max(320).optional().describe('Address in the directory. Needs `profiles:read`.'),
});

/** People: listed, looked at, suspended, reactivated. */
export const userEndpoints: readonly Endpoint[] = [
  readEndpoint(
    {
      operationId: 'listUsers',
      path: '/users',
      scope: 'users:read',
      summary: 'List people, in the order in which they came.',
      pathSchema: noPath,
      querySchema: listQuery,
      answer: pageShape(userShape),
    },
    null,
    async (call) => {
      const { account, caller, query } = call;
      const named = await namedPeople(account, caller, query);
      return pageOf(call, 'listUsers', named ?? account.log.roster.people, {
        pick: (id) => {
          const user = userOf(account.log.read, id);
          return user !== undefined && fits(user, query) ? user : undefined;
        },
        show: async (user) => withProfile(account, caller, user),
      });
    },
  ),
  readEndpoint(
    {
      operationId: 'getUser',
      path: '/users/{id}',
      scope: 'users:read',
      summary: 'Look at one person.',
      pathSchema: userPath,
      querySchema: noQuery,
      answer: userShape,
    },
    ({ id }) => `principal/${id}`,
    async ({ account, caller, path }) => withProfile(account, caller, requireUser(account.log.read, path.id)),
  ),
  changeEndpoint(
    {
      operationId: 'suspendUser',
      path: '/users/{id}/suspend',
      scope: 'users:suspend',
      summary: 'Suspend a person, their agents, and everything handed on from them, everywhere.',
      description:
        'Envelopes made before are refused for ever. The agents stay suspended until their owner or an admin resumes them.',
      pathSchema: userPath,
      querySchema: dryRunQuery,
      answer: userChangeShape,
    },
    (call) => suspension(call),
  ),
  changeEndpoint(
    {
      operationId: 'reactivateUser',
      path: '/users/{id}/reactivate',
      scope: 'users:reactivate',
      summary: 'Take back the suspension of a person that this API made.',
      description:
        'A suspension by an admin or by another source stays, and with it the status. Agents are not reactivated: their owner resumes them.',
      pathSchema: userPath,
      querySchema: dryRunQuery,
      answer: userChangeShape,
    },
    (call) => reactivation(call),
  ),
];

type ChangeCall = ApiCall<{ readonly id: string }, { readonly dry_run: boolean }>;

function suspension(call: ChangeCall): PlannedChange {
  const { account, path } = call;
  return {
    ...changeOf(call),
    plan: (read) => {
      const user = requireUser(read, path.id);
      return user.suspensions.includes(sourceOf(account))
        ? undefined
        : { type: 'principal.suspend', principal: path.id };
    },
  };
}

function reactivation(call: ChangeCall): PlannedChange {
  const { path } = call;
  return {
    ...changeOf(call),
    plan: (read) => {
      const user = requireUser(read, path.id);
      const nothingToDo = user.suspensions.length === 0 && user.status !== 'deprovisioned';
      // Refused by the rules where others suspended: this API ends only what it began.
      return nothingToDo ? undefined : { type: 'principal.resume', principal: path.id, keys: user.keys };
    },
  };
}

function changeOf({ account, path, query }: ChangeCall): Omit<PlannedChange, 'plan'> {
  return {
    target: `principal/${path.id}`,
    dryRun: query.dry_run,
    answer: (read, { before, ...made }) => ({
      ...made,
      user: requireUser(read, path.id),
      leaving: made.dryRun ? leavingWith(account, before, path.id) : null,
    }),
  };
}

function fits(
  user: ApiUser,
  {
    status,
    group,
    connection,
  }: { status?: string | undefined; group?: string | undefined; connection?: string | undefined },
): boolean {
  return (
    (status === undefined || user.status === status) &&
    (group === undefined || user.groups.includes(group)) &&
    (connection === undefined || user.connection === connection)
  );
}

function requireUser(read: Read, id: string): ApiUser {
  const user = userOf(read, id);
  if (user === undefined) throw new IssuerRefusal('target_unknown', 'no such person');
  return user;
}

function userOf(read: Read, id: string): ApiUser | undefined {
  const person = read(`principal/${id}`);
  if (person === undefined) return undefined;
  const { status, suspensions, assurance, connection, groups, keys, agents } = person;
  return { id, status, suspensions, assurance, connection, groups, keys, agents };
}

/** Names and addresses are in the directory alone, and gone from there once the person was erased. */
async function withProfile({ store }: Account, caller: Caller, user: ApiUser): Promise<ApiUser> {
  if (!caller.scopes.has('profiles:read')) return user;
  const row = await store.first(resources, { kind: 'User', id: user.id });
  return { ...user, profile: row === undefined ? null : readProfile(row.body) };
}

const directoryBody = z.object({
  userName: z.string(),
  displayName: z.string().nullish(),
  emails: z.array(z.object({ value: z.string() })).nullish(),
});

function readProfile(body: string): ApiUser['profile'] {
  const parsed = directoryBody.safeParse(JSON.parse(body));
  if (!parsed.success) return null;
  const { userName, displayName, emails } = parsed.data;
  return {
    userName,
    displayName: displayName ?? null,
    emails: (emails ?? []).map(({ value }) => value),
  };
}
