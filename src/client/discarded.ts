import type { Endpoint } from './dial/connection.ts';
import type { EitherProtocolOptions } from './options.ts';
import type { ProgressOptions, Transfer } from './transfer.ts';

export interface DiscardOptions extends EitherProtocolOptions, ProgressOptions {
  /** The payload of each datagram but the last, in bytes, 1 to 65507. Default 512. */
  readonly datagramBytes?: number | undefined;
}

/** `bytes` are those that our machine took for sending; all of them arrived where `end` is `discarded`. */
export interface Discarded extends Transfer {
  /**
   * `discarded`: the peer read it all and finished. `sent`: over UDP, all is sent and nobody refused it; whether it
   * arrived cannot be known. Else it failed: `answered`: the peer sends, which discard never does. The peer ended by
   * FIN before all was sent (`finished`), or by RST (`reset`), took nothing or did not end in time (`timeout`), or the
   * caller's signal aborted (`interrupted`).
   */
  readonly end: 'discarded' | 'sent' | 'answered' | 'finished' | 'reset' | 'timeout' | 'interrupted';
  /** Over UDP only. */
  readonly datagrams: number | undefined;
  readonly peer: Endpoint;
}
