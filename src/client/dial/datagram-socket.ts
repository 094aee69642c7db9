import { formatHostPort } from '../../address/host-port.ts';
import { SmallservdError } from '../../errors.ts';
import { hasSockets } from '../../kernel/sockets.ts';
import { isBroadcastAddress } from './broadcast-address.ts';
import type { Endpoint } from './connection.ts';
import type { Arrival, CarrierEvents, DatagramCarrier } from './datagram-carrier.ts';
import { KernelDatagrams } from './kernel-datagrams.ts';
import { describeNetworkError, outcomeOf } from './network-error.ts';
import { NodeDatagrams } from './node-datagrams.ts';
import type { PathControls } from './path-controls.ts';
import type { HostAddress } from './resolve-host.ts';
import type { SharedPorts } from './shared-ports.ts';

export interface DatagramHandlers {
  /** Whether `datagram` gets the arrival of each, as far as the system tells it. */
  readonly wantsArrivals?: boolean;
  datagram(bytes: Uint8Array, arrival?: Arrival): void;
  /** A host or router, or this machine, reports that a datagram did not arrive. */
  failed(error: SmallservdError): void;
}

/** A connected UDP socket: it receives only from its peer, and learns from ICMP what became of its datagrams. */
export class DatagramSocket {
  readonly peer: Endpoint;
  readonly #carrier: DatagramCarrier;
  #isClosed = false;

  private constructor(carrier: DatagramCarrier, peer: Endpoint) {
    this.#carrier = carrier;
    this.peer = peer;
  }

  /**
   * With `sharedPorts`, other sockets of those may have the same source port. Throws `CONNECT_FAILED` if there is no
   * route to the address, or the source port or address is not available, and `ARGUMENT_INVALID` for a broadcast
   * address.
   */
  static async open(
    host: HostAddress,
    port: number,
    handlers: DatagramHandlers,
    path: PathControls = {},
    sharedPorts?: SharedPorts,
  ): Promise<DatagramSocket> {
    const peer = { address: host.address, port };
    const ports = path.sourcePort === undefined ? undefined : sharedPorts;
    const events: CarrierEvents = {
      wantsArrivals: handlers.wantsArrivals,
      datagram: (bytes, arrival) => handlers.datagram(bytes, arrival),
      failed: (error) => handlers.failed(failure(peer, error)),
    };
    try {
      const carrier = hasSockets
        ? new KernelDatagrams(host, port, path, events, ports)
        : await NodeDatagrams.open(host, port, path, events, ports !== undefined);
      return new DatagramSocket(carrier, peer);
    } catch (cause) {
      const outcome = outcomeOf(cause);
      if (outcome === 'prohibited' && isBroadcastAddress(host.address))
        throw new SmallservdError('ARGUMENT_INVALID', `${host.address} is broadcast: expected one host`, { cause });
      const reason = describeNetworkError(cause, host.address);
      const message = `cannot send to ${formatHostPort(host.address, port)}: ${reason}`;
      throw new SmallservdError('CONNECT_FAILED', message, { cause, outcome });
    }
  }

  get local(): Endpoint {
    return this.#carrier.local;
  }

  /** Resolves when the kernel accepts the datagram. Throws `CONNECT_FAILED`. */
  async send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#carrier.send(bytes, (error) => (error === null ? resolve() : reject(failure(this.peer, error))));
    });
  }

  /** Like `send`, but with a callback, for senders of so many datagrams that a promise for each would cost too much. */
  post(bytes: Uint8Array, taken: (error: Error | null) => void): void {
    this.#carrier.send(bytes, taken);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#carrier.close();
  }
}

function failure({ address, port }: Endpoint, cause: Error): SmallservdError {
  const reason = isClosedPort(cause) ? 'refused (port unreachable)' : describeNetworkError(cause, address);
  const message = `cannot reach ${formatHostPort(address, port)} over UDP: ${reason}`;
  return new SmallservdError('CONNECT_FAILED', message, { cause, outcome: outcomeOf(cause) });
}

/** As Node reports it. */
function isClosedPort(cause: Error): boolean {
  return cause.name === 'Error' && 'code' in cause && cause.code === 'ECONNREFUSED';
}
