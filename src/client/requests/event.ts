import type { Outcome } from '../../outcomes.ts';

/** What every run tells of its requests, which are numbered from 0. */
export type RequestEvent =
  | { readonly kind: 'sent'; readonly sequence: number }
  /** No answer in this time. One may still come. */
  | { readonly kind: 'silence'; readonly sequence: number; readonly waitedMs: number }
  /**
   * Over UDP: an ICMP error, probably about the last request without an answer. The run continues, because the peer
   * has answered before.
   */
  | {
      readonly kind: 'refused';
      readonly sequence: number | undefined;
      readonly message: string;
      readonly outcome: Outcome;
    };
