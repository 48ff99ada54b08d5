import { defineTable, type Table } from './table.ts';

/** The one invitation of a person who is to confirm themselves. Its code is nowhere: it exists in the mail alone. */
export interface InvitationRow {
  readonly principal: string;
  /** `due`: a mail is to be sent. `sent`: it was. `failed`: it could not be, an operator may send it again. */
  readonly state: 'due' | 'sent' | 'failed';
  /** base64url SHA-256 of the newest code; null until a mail is made. */
  readonly code: string | null;
  /** Unix seconds; from then on the code is void. */
  readonly expires: number | null;
  /** Mails tried since it became due. */
  readonly attempts: number;
  /** Unix seconds: not before. */
  readonly due: number;
}

export const invitations: Table<InvitationRow> = defineTable<InvitationRow>(
  'invitation',
  {
    principal: 'text',
    state: 'text',
    code: 'text?',
    expires: 'integer?',
    attempts: 'integer',
    due: 'integer',
  },
  { key: ['principal'], unique: [['code']], indexes: [['state', 'due']], person: 'principal' },
);

/** A personal read token. The token itself is nowhere; it is void while its key is not in force as a key of its person. */
export interface ReaderRow {
  /** base64url SHA-256 of the token's text. */
  readonly sha256: string;
  readonly principal: string;
  /** Thumbprint of the key that it goes with. */
  readonly key: string;
  /** Unix seconds. */
  readonly created: number;
}

export const readers: Table<ReaderRow> = defineTable<ReaderRow>(
  'reader',
  { sha256: 'text', principal: 'text', key: 'text', created: 'integer' },
  { key: ['sha256'], indexes: [['principal'], ['key']], person: 'principal' },
);
