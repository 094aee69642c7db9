/** Configurable options of a stream socket. */
export interface SocketOptions {
  readonly keepAlive: { readonly enabled: boolean; readonly delayMs: number };
  readonly noDelay: boolean;
  readonly backlog: number;
}
