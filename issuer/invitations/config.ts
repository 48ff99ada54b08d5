import { z } from 'zod';

/** How invitations are sent; what each field does is said once, in its schema below. */
export interface InvitationsConfig {
  readonly smtpUrl?: string | undefined;
  readonly smtpPasswordFile?: string | undefined;
  readonly sinkFolder?: string | undefined;
  readonly from: string;
  readonly lifetimeSeconds: number;
  readonly perHour: number;
}

const smtpUrl = z
  .url({ protocol: /^smtps?$/u })
  .refine((text) => URL.canParse(text) && new URL(text).password === '', 'holds a password');

/** `invitations` of an account. */
export const invitationsSchema: z.ZodType<InvitationsConfig | undefined> = z
  .strictObject({
    smtpUrl: smtpUrl.optional(),
    smtpPasswordFile: z.string().min(1).optional(),
    sinkFolder: z.string().min(1).optional(),
    from: z.email(),
    lifetimeSeconds: z.int().min(60).max(2_592_000).default(604_800),
    perHour: z.int().min(1).max(100_000).default(600),
  })
  .refine(
    ({ smtpUrl: url, sinkFolder }) => (url === undefined) !== (sinkFolder === undefined),
    'needs `smtpUrl` or `sinkFolder`, one of them',
  )
  .optional()
  .describe(
    'How people who were provisioned get their invitation. `smtpUrl`: `smtps://user@host:465` or `smtp://user@host:587`, with the password in `smtpPasswordFile` (mode 0600); TLS is demanded, except of a server on this machine. Or `sinkFolder`: each mail becomes an `.eml` file there, for development. `from`: address of the sender. `lifetimeSeconds` (default 604800): how long a code works. `perHour` (default 600): mails in one hour, at most. Absent: nobody is invited, admins and sponsors confirm people.',
  );
