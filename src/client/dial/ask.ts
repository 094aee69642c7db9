import { formatHostPort } from '../../address/host-port.ts';
import { type Cancel, systemClock } from '../../clock/clock.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import type { Endpoint } from './connection.ts';
import { type ConnectOptions, interleave } from './connect.ts';
import { DatagramSocket } from './datagram-socket.ts';
import { type HostAddress, resolveHost } from './resolve-host.ts';
import type { Target } from './target.ts';
import { SharedPorts } from './shared-ports.ts';
import { startTimeout, waitFor } from './wait.ts';

export interface AskOptions extends ConnectOptions {
  /** Keeps collecting datagrams until none has arrived for this long. Default: only the first datagram counts. */
  readonly quietMs?: number | undefined;
}

export interface Answer {
  readonly bytes: Uint8Array;
  /** The datagrams after the first, in order of arrival. */
  readonly further: readonly Uint8Array[];
  readonly peer: Endpoint;
  /** Requests sent to this peer before the answer arrived. */
  readonly attempts: number;
  /** Milliseconds from the last request to the first datagram of the answer. */
  readonly rttMs: number;
  /** Wall-clock time at which the first datagram arrived. */
  readonly answeredAt: Date;
}

/** How long to wait before asking the next address. */
const nextAddressMs = 250;
const againMs = 1000;
/** Caps what an endless peer can deliver at about what TCP clients read. */
const mostDatagrams = 1000;
const mostBytes = 64 * 1024;

/**
 * Sends a request and resolves with the first datagram of the answer, or with all of them if `quietMs` is set. Peers
 * and networks drop datagrams, so the request is repeated every second. The addresses of a name are asked in turn. Name
 * lookup and answer share the timeout.
 * `request` builds the datagram for attempt N at an address, counted from 0. Throws `HOST_NOT_FOUND`, `CONNECT_FAILED`,
 * the first one, when every address refuses, and `NO_ANSWER` on silence.
 */
export async function ask(
  target: Target,
  request: (attempt: number) => Uint8Array,
  options: AskOptions,
): Promise<Answer> {
  const { clock = systemClock } = options;
  const begun = startTimeout(options);
  const addresses = interleave(await resolveHost(target.host, options.family ?? 'both', begun, options.lookup));
  const name = formatHostPort(target.host, target.port);
  const attempts = addresses.map(() => 0);
  const ended = new Map<number, (outcome: Outcome | undefined) => void>();
  let sent = 0;
  let sentMs = 0;
  const silence = (waited: string): SmallservdError => {
    const times = sent === 1 ? 'one datagram' : `${sent} datagrams`;
    return new SmallservdError('NO_ANSWER', `${name} is silent over UDP: no answer to ${times} within ${waited}`);
  };
  const further: Uint8Array[] = [];
  let answer: Answer | undefined;
  const answered = waitFor<Answer>(begun, silence, (resolve, reject) => {
    const sockets = new Map<number, Promise<DatagramSocket>>();
    // One address alone needs its port for itself.
    const sharedPorts = addresses.length > 1 ? new SharedPorts() : undefined;
    const refused = new Set<number>();
    let firstError: Error | undefined;
    let isOver = false;
    let cancel: Cancel | undefined;
    let answeringIndex: number | undefined;
    let bytesTaken = 0;

    /** Several datagrams may come in one turn, before anyone else runs: those after the end do not count. */
    const finish = (complete: Answer): void => {
      isOver = true;
      resolve(complete);
    };
    const heard = (index: number, bytes: Uint8Array): void => {
      if (isOver) return;
      if (answer === undefined) {
        const { address } = addresses[index] as HostAddress;
        const peer = { address, port: target.port };
        const rttMs = clock.monotonicMs() - sentMs;
        answer = { bytes, further, peer, attempts: attempts[index] ?? 0, rttMs, answeredAt: clock.now() };
        answeringIndex = index;
        for (const [each, end] of ended) end(each === index ? 'ok' : undefined);
      } else {
        if (index !== answeringIndex) return;
        // A repeated request may be answered twice.
        if (answer.attempts > 1 && Buffer.compare(bytes, answer.bytes) === 0) return finish(answer);
        further.push(bytes);
      }
      const whole = answer;
      cancel?.();
      bytesTaken += bytes.length;
      const isEnough = further.length + 1 >= mostDatagrams || bytesTaken >= mostBytes;
      if (options.quietMs === undefined || isEnough) finish(whole);
      else cancel = clock.after(options.quietMs, () => finish(whole));
    };
    const isAnswered = (): boolean => isOver || answer !== undefined;

    let latest = 0;
    const attempt = (turn: number): void => {
      latest = turn;
      const index = turn % addresses.length;
      const address = addresses[index];
      if (address === undefined || isAnswered()) return;
      cancel?.();
      if (refused.has(index)) return attempt(turn + 1);
      cancel = clock.after(turn + 1 < addresses.length ? nextAddressMs : againMs, () => attempt(turn + 1));
      const failed = (error: Error): void => {
        if (isAnswered() || refused.has(index)) return;
        refused.add(index);
        firstError ??= error;
        ended.get(index)?.(error instanceof SmallservdError ? error.outcome : 'failed');
        if (refused.size === addresses.length) reject(firstError);
        // Unless the next one was asked already, as this one took long.
        else if (turn === latest) attempt(turn + 1);
      };
      if (!ended.has(index) && options.attempts !== undefined)
        ended.set(index, options.attempts.begin(address.address));
      const handlers = { datagram: (bytes: Uint8Array): void => heard(index, bytes), failed };
      const socket =
        sockets.get(index) ?? DatagramSocket.open(address, target.port, handlers, options.pathControls, sharedPorts);
      sockets.set(index, socket);
      socket
        .then((ready) => {
          if (isAnswered()) return undefined;
          sentMs = clock.monotonicMs();
          const bytes = request(attempts[index] ?? 0);
          attempts[index] = (attempts[index] ?? 0) + 1;
          sent += 1;
          return ready.send(bytes);
        })
        .catch(failed);
    };
    attempt(0);
    return () => {
      isOver = true;
      cancel?.();
      for (const socket of sockets.values()) socket.then((ready) => ready.close()).catch(() => {});
    };
  });
  try {
    return await answered;
  } catch (error) {
    const isLate = error instanceof SmallservdError && error.code === 'NO_ANSWER';
    // A peer that never falls quiet has still answered.
    if (isLate && answer !== undefined) return answer;
    throw error;
  }
}
