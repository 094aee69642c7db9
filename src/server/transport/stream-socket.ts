import type { TcpInfo } from '../../kernel/streams.ts';
import type { SocketOptions } from './socket-options.ts';

/** A connected stream socket, over a direct socket or one of Node's. */
export interface StreamSocket {
  /** Bytes read so far. */
  readonly received: number;
  /** Written bytes that the kernel has not taken yet. */
  readonly unsent: number;
  /** Whether it sends bytes at once. If not, `flushed` tells when it does again. */
  readonly takesMore: boolean;
  /** Our FIN is sent, and everything before it. */
  readonly isFinished: boolean;
  /**
   * Asks the kernel how many written bytes the peer has not acknowledged. Where it does not say, those that the kernel
   * has not taken. Closes a socket whose two sides have ended, once the peer has nearly all that was sent to it.
   */
  review(): number;
  readonly isDestroyed: boolean;
  /** The system's code for the error that ended the connection, such as `ECONNRESET`. */
  readonly errorCode: string | undefined;
  /** Read when it closes, if that was asked for and it is a TCP socket of our own. */
  readonly tcpInfo: TcpInfo | undefined;
  /** The local address, as in `127.0.0.1:1201`. */
  readonly local: string;
  /** Sets who gets the events. Nothing is read before `startReading`. */
  use(user: StreamSocketUser): void;
  setOptions(options: SocketOptions): void;
  startReading(): void;
  stopReading(): void;
  /** Sends bytes, or keeps them until the kernel takes them. */
  write(bytes: Uint8Array): void;
  /** Sends our FIN after everything that was written. */
  end(bytes?: Uint8Array): void;
  /** Closes immediately. */
  destroy(): void;
  /** Closes immediately, and makes the kernel drop what it still holds for the peer. */
  reset(): void;
}

/** Events of a stream socket. None is called from within a call of the socket. */
export interface StreamSocketUser {
  /** The bytes are valid only during the call. */
  received(chunk: Buffer): void;
  /** The peer has sent its FIN. */
  peerEnded(): void;
  /** It takes more again, after `takesMore` was false. */
  flushed(): void;
  /** It is closed: called once, after `destroy`, an error, or when both sides have ended. */
  closed(): void;
}
