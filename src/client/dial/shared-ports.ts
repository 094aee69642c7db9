import type { PortSharing } from '../../kernel/outgoing-sockets.ts';
import type { HostAddress } from './resolve-host.ts';

/** UDP source ports that several sockets of one run have at the same time, to different peers, and nobody else. */
export class SharedPorts {
  readonly #sockets = new Map<string, number>();

  /** Calls `bind` for a socket with this port. Throws what it throws. */
  bind<Bound>(family: HostAddress['family'], port: number, bind: (sharing: PortSharing) => Bound): Bound {
    const key = `${family} ${port}`;
    const count = this.#sockets.get(key) ?? 0;
    const bound = bind(count === 0 ? 'first' : 'further');
    this.#sockets.set(key, count + 1);
    return bound;
  }

  /** Call this once a socket is closed. */
  release(family: HostAddress['family'], port: number): void {
    const key = `${family} ${port}`;
    const count = this.#sockets.get(key) ?? 0;
    if (count > 1) this.#sockets.set(key, count - 1);
    else this.#sockets.delete(key);
  }
}
