import type { Endpoint } from './dial/connection.ts';
import type { EitherProtocolOptions } from './options.ts';
import type { ProgressOptions, Transfer } from './transfer.ts';

export interface DiscardOptions extends EitherProtocolOptions, ProgressOptions {
  /** Payload bytes of each datagram except the last, 1 to 65507. Default 512. */
  readonly datagramBytes?: number | undefined;
}

/** `bytes` counts what the local kernel accepted. All of it arrived if `end` is `discarded`. */
export interface Discarded extends Transfer {
  /**
   * `discarded`: the peer read everything and finished. `sent`: over UDP, everything was sent and nothing refused it,
   * but arrival cannot be confirmed. All others are failures. `answered`: the peer sent data, which discard never does.
   * The peer closed early with FIN (`finished`) or RST (`reset`), accepted nothing or did not close in time
   * (`timeout`), or the caller's signal aborted (`interrupted`).
   */
  readonly end: 'discarded' | 'sent' | 'answered' | 'finished' | 'reset' | 'timeout' | 'interrupted';
  /** Over UDP only. */
  readonly datagrams: number | undefined;
  readonly peer: Endpoint;
}
