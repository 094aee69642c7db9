/** What may be configured for a stream's socket. */
export interface SocketOptions {
  readonly keepAlive: { readonly enabled: boolean; readonly delayMs: number };
  readonly noDelay: boolean;
  readonly backlog: number;
}
