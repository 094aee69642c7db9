import type { LogEntry } from '../recent-lines.ts';
import type { LatestPoints, PastPoints } from './history.ts';
import type { Snapshot, SnapshotSource } from './snapshot.ts';

/** The state of the wall clock. */
export interface ClockState {
  /** False if it is earlier than the release of this build. */
  readonly isSet: boolean;
  /** Whether the system keeps it in step with UTC; null if it does not tell. */
  readonly isSynchronized: boolean | null;
  /** How wrong it may be. */
  readonly errorMs: number;
}

/** How a reload went. */
export interface ReloadRecord {
  /** ISO 8601. */
  readonly at: string;
  readonly tookMs: number;
  /** The first error, cut if it is long; null: it succeeded. */
  readonly error: string | null;
  /** How many errors there were. */
  readonly errors: number;
}

/** What the page shows now. Each key becomes an event, which is sent when its value has changed. */
export interface Live {
  readonly status: Snapshot & { readonly clock: ClockState };
  readonly points: LatestPoints;
  /** By service: the faults that can happen now. Services without any are left out. */
  readonly faults: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Newest first. */
  readonly reloads: readonly ReloadRecord[];
  /** Lines at warn and above, newest first. */
  readonly log: readonly LogEntry[];
}

/** What has happened before. */
export interface Past extends PastPoints {
  /** By service: requests a second, oldest first. The last value of each belongs to the last of `seconds`. */
  readonly requests: Readonly<Record<string, readonly (number | null)[]>>;
}

/** The data source of the page. */
export interface PageSource {
  /** What it shows now. */
  live(): Promise<Live>;
  /** What it plots of the time before. */
  past(): Promise<Past>;
}

/** The data source of the admin endpoint. */
export type AdminSource = SnapshotSource & PageSource;

/** The values of all events of a page: what it shows now, and at first what has happened before. */
export type EventValues = Live & { readonly past: Past };

export type PageEventName = keyof EventValues;

/** An event of the page. */
export type PageEvent = {
  [Name in PageEventName]: { readonly name: Name; readonly value: EventValues[Name] };
}[PageEventName];
