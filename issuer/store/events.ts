import { defineTable, type Table } from './table.ts';

/** A security event token that was received, so that it is not taken a second time. */
export interface SeenEventRow {
  /** Name of the stream. */
  readonly stream: string;
  /** base64url SHA-256 of `jti`: others choose what is in it. */
  readonly jti: string;
  /** Unix seconds from which on the token would be too old anyway. */
  readonly expires: number;
}

export const seenEvents: Table<SeenEventRow> = defineTable<SeenEventRow>(
  'seen_event',
  { stream: 'text', jti: 'text', expires: 'integer' },
  { key: ['stream', 'jti'], indexes: [['expires']] },
);

/** How far the events of one stream about one person have got: an older one comes too late. */
export interface EventPositionRow {
  readonly stream: string;
  readonly principal: string;
  /** Events that undo each other share one: `standing`, `sessions`, `keys`. */
  readonly lane: string;
  /** When the newest applied event happened, Unix milliseconds. */
  readonly happened: number;
}

export const eventPositions: Table<EventPositionRow> = defineTable<EventPositionRow>(
  'event_position',
  { stream: 'text', principal: 'text', lane: 'text', happened: 'integer' },
  { key: ['stream', 'principal', 'lane'], person: 'principal' },
);
