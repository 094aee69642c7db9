import { Socket, type TcpSocketConnectOpts } from 'node:net';
import { formatHostPort } from '../../address/host-port.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import { describeNetworkError } from './network-error.ts';
import { type AddressLookup, type Family, type HostAddress, resolveHost } from './resolve-host.ts';
import type { Target } from './target.ts';
import { type Patience, waitFor } from './wait.ts';

export interface ConnectOptions extends Patience {
  /** Default `ip`: both families, starting with the one the system prefers. */
  readonly family?: Family | undefined;
  /** The local port to connect from. Default: chosen by the system. */
  readonly localPort?: number | undefined;
  /** Resolves names. Default: the system resolver. */
  readonly lookup?: AddressLookup | undefined;
}

/** Head start of each address over the next (RFC 8305 section 5, Connection Attempt Delay). */
const attemptDelayMs = 250;

/**
 * Connects to whichever address of a name answers first (Happy Eyeballs, RFC 8305). Node's own autoSelectFamily gives
 * up on each address after 250 ms, too short for an intercontinental connection, so here attempts go on while later
 * ones start. The socket allows half-open connections and has no listeners attached. Throws `HOST_NOT_FOUND` and
 * `CONNECT_FAILED`.
 */
export async function connect(target: Target, options: ConnectOptions): Promise<Socket> {
  const addresses = await resolveHost(target.host, options.family ?? 'both', options, options.lookup);
  return race(interleave(addresses), target, options);
}

/** Alternates the families, starting with that of the first address (RFC 8305 section 4). */
export function interleave(addresses: readonly HostAddress[]): readonly HostAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return first.flatMap((each, turn) => [each, ...second.slice(turn, turn + 1)]).concat(second.slice(first.length));
}

async function race(addresses: readonly HostAddress[], target: Target, options: ConnectOptions): Promise<Socket> {
  const { clock = systemClock } = options;
  const name = formatHostPort(target.host, target.port);
  const late = (waited: string): SmallservdError =>
    new SmallservdError('CONNECT_FAILED', `cannot connect to ${name}: no answer within ${waited}`);
  return waitFor<Socket>(options, late, (resolve, reject) => {
    const attempts = new Attempts(addresses, clock, (address) => openSocket(address, target.port, options.localPort));
    attempts.start(resolve, (failures) => {
      const reasons = [...new Set(failures.map(({ error }) => describeNetworkError(error)))];
      const all = failures.map(({ address, error }) => `${address}: ${describeNetworkError(error)}`);
      const reason = reasons.length === 1 ? reasons[0] : all.join('; ');
      const cause = failures[0]?.error;
      reject(new SmallservdError('CONNECT_FAILED', `cannot connect to ${name}: ${reason}`, { cause }));
    });
    return () => attempts.stop();
  });
}

function openSocket({ address, family }: HostAddress, port: number, localPort: number | undefined): Socket {
  const options: TcpSocketConnectOpts = { host: address, port, family: family === 'ipv6' ? 6 : 4, noDelay: true };
  const socket = new Socket({ allowHalfOpen: true });
  return socket.connect(localPort === undefined ? options : { ...options, localPort });
}

interface Failure {
  readonly address: string;
  readonly error: Error;
}

/** Connection attempts in progress, each with a head start over the next. */
class Attempts {
  readonly #addresses: readonly HostAddress[];
  readonly #clock: Clock;
  readonly #open: (address: HostAddress) => Socket;
  readonly #sockets = new Set<Socket>();
  readonly #failures: Failure[] = [];
  #next = 0;
  #cancel: () => void = () => {};

  constructor(addresses: readonly HostAddress[], clock: Clock, open: (address: HostAddress) => Socket) {
    this.#addresses = addresses;
    this.#clock = clock;
    this.#open = open;
  }

  start(won: (socket: Socket) => void, lost: (failures: readonly Failure[]) => void): void {
    this.#cancel();
    const address = this.#addresses[this.#next++];
    if (address === undefined) return;
    const socket = this.#open(address);
    this.#sockets.add(socket);
    const failed = (error: Error): void => {
      this.#failures.push({ address: address.address, error });
      this.#sockets.delete(socket);
      if (this.#failures.length === this.#addresses.length) lost(this.#failures);
      else this.start(won, lost);
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      // The caller owns the socket now and must not inherit this listener.
      socket.removeListener('error', failed);
      this.#sockets.delete(socket);
      won(socket);
    });
    this.#cancel = this.#clock.after(attemptDelayMs, () => this.start(won, lost));
  }

  /** Stops all attempts that have not succeeded. */
  stop(): void {
    this.#cancel();
    for (const socket of this.#sockets) socket.on('error', () => {}).destroy();
    this.#next = this.#addresses.length;
  }
}
