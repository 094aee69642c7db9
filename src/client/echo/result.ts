import type { Endpoint } from '../dial/connection.ts';
import type { Outcome } from '../../outcomes.ts';
import type { FlowSummary } from '../requests/flows.ts';
import type { RequestEvent } from '../requests/event.ts';
import type { RoundTripSummary } from '../round-trips.ts';

/** Requests are numbered from 0. */
export type EchoPingEvent =
  | RequestEvent
  | { readonly kind: 'answered'; readonly sequence: number; readonly rttMs: number; readonly isDuplicate: boolean }
  /** `offset` of the first wrong byte, in the datagram or in the entire TCP stream. */
  | {
      readonly kind: 'corrupted';
      readonly sequence: number | undefined;
      readonly sizeBytes: number;
      readonly offset: number;
    };

export interface EchoPingResult extends RoundTripSummary {
  readonly peer: Endpoint;
  readonly protocol: 'tcp' | 'udp';
  readonly sizeBytes: number;
  readonly elapsedMs: number;
  /** Why the run ended early, unless the signal ended it. */
  readonly problem: string | undefined;
  /** By source port, if there is more than one. Request N has the flow N modulo their number. */
  readonly flows: readonly FlowSummary[] | undefined;
  /** Whether every request came back unchanged. */
  readonly isRight: boolean;
  /** `ok` if so. Otherwise what ended the run, or how the requests without a right answer ended. */
  readonly outcome: Outcome;
}
