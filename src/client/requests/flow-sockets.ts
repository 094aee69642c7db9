import type { Arrival } from '../dial/datagram-carrier.ts';
import { DatagramSocket } from '../dial/datagram-socket.ts';
import type { HostAddress } from '../dial/resolve-host.ts';
import type { SmallservdError } from '../../errors.ts';
import { pathsOf } from './flows.ts';
import type { PathControls } from '../options.ts';

/** A run that receives what the sockets of its flows do. */
export interface FlowReceiver {
  sendsFrom(flow: number, sourcePort: number | undefined): void;
  takeDatagram(bytes: Uint8Array, flow: number, arrival?: Arrival): void;
  refused(error: SmallservdError, flow: number): void;
}

interface FlowSocketsSettings {
  readonly flows: number;
  readonly pathControls?: PathControls | undefined;
  /** Whether `takeDatagram` gets the arrival of each datagram. */
  readonly wantsArrivals: boolean;
}

/** A connected UDP socket for each flow of a run. */
export class FlowSockets {
  readonly #sockets: DatagramSocket[] = [];

  /** Throws `CONNECT_FAILED` and `ARGUMENT_INVALID` as `DatagramSocket.open` does. */
  static async open(
    address: HostAddress,
    port: number,
    run: FlowReceiver,
    { flows, pathControls, wantsArrivals }: FlowSocketsSettings,
  ): Promise<FlowSockets> {
    const opened = new FlowSockets();
    try {
      for (const [flow, path] of pathsOf(flows, pathControls).entries()) {
        const handlers = {
          wantsArrivals,
          datagram: (bytes: Uint8Array, arrival?: Arrival) => run.takeDatagram(bytes, flow, arrival),
          failed: (error: SmallservdError) => run.refused(error, flow),
        };
        const socket = await DatagramSocket.open(address, port, handlers, path);
        opened.#sockets.push(socket);
        run.sendsFrom(flow, socket.local.port);
      }
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  /** Resolves when the kernel accepts the datagram. Throws `CONNECT_FAILED`. */
  async send(bytes: Uint8Array, flow: number): Promise<void> {
    await this.#sockets[flow]?.send(bytes);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
