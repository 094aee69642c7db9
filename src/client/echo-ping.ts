import { Connection } from './dial/connection.ts';
import { DatagramSocket } from './dial/datagram-socket.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { foreverMs, onAbort, throwIfInterrupted } from './dial/wait.ts';
import { assertKeepAlive, type EchoPingOptions } from './echo-options.ts';
import type { EchoPingEvent, EchoPingResult } from './echo-result.ts';
import { EchoRun, type EchoRunSettings } from './echo-run.ts';
import { addressesFor, assertWithin, largestDatagramBytes, withDefaults } from './options.ts';

export type { EchoPingEvent, EchoPingOptions, EchoPingResult };

/**
 * Sends numbered requests to an echo service (RFC 862) at intervals, over one connection or as datagrams, and verifies
 * the answers. After the last request it waits one timeout for late answers. When the signal aborts, it waits only
 * twice the longest round trip so far for the answer to the last request. At the deadline it ends at once. Throws
 * `ARGUMENT_INVALID`, and `HOST_NOT_FOUND`, `CONNECT_FAILED` or `INTERRUPTED` if there is nothing to report.
 */
export async function echoPing(host: string, options: EchoPingOptions = {}): Promise<EchoPingResult> {
  const { count = 0, sizeBytes = 512, intervalMs = 1000, deadlineMs, random = Math.random } = options;
  const settings = { ...withDefaults(options), count, sizeBytes, intervalMs, random };
  assertKeepAlive(options);
  assertWithin('the count', count, 0, Number.MAX_SAFE_INTEGER);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertWithin('the deadline in milliseconds', deadlineMs ?? 1, 1, foreverMs);
  if (options.udp === true) {
    assertWithin('the size of a datagram', sizeBytes, 0, largestDatagramBytes.ipv6);
    return pingOverUdp(host, settings);
  }
  assertWithin('the size of a request over TCP', sizeBytes, 1, 16 * 1024 * 1024);
  return pingOverTcp(host, settings);
}

async function pingOverTcp(host: string, settings: EchoRunSettings): Promise<EchoPingResult> {
  const connection = await openConnection(parseTarget(host, 'tcp', 'echo'), settings);
  const run = new EchoRun(connection.peer, settings);
  try {
    settings.connected?.(connection.peer);
    const ended = run.start(async (payload) => connection.write(payload));
    void readMessages(connection, run, settings.sizeBytes);
    await ended;
  } finally {
    connection.destroy();
  }
  return run.result();
}

/** The signal aborts only the opening. Afterwards the run decides when to stop, because answers may still arrive. */
async function openConnection(target: Target, { signal, ...settings }: EchoRunSettings): Promise<Connection> {
  throwIfInterrupted(signal);
  const opening = new AbortController();
  const stopListening = onAbort(signal, () => opening.abort());
  try {
    return await Connection.open(target, { ...settings, signal: opening.signal });
  } finally {
    stopListening();
  }
}

/** Cuts the stream into messages of the request size, until the stream ends. */
async function readMessages(connection: Connection, run: EchoRun, sizeBytes: number): Promise<void> {
  const message = Buffer.alloc(sizeBytes);
  let length = 0;
  try {
    for (;;) {
      const chunk = await connection.read(foreverMs);
      if (chunk === undefined) break;
      for (let taken = 0; taken < chunk.length; ) {
        const part = chunk.subarray(taken, taken + sizeBytes - length);
        message.set(part, length);
        taken += part.length;
        length += part.length;
        if (length < sizeBytes) break;
        run.takeMessage(message);
        length = 0;
      }
    }
    run.peerClosed();
  } catch (error) {
    run.end(error);
  }
}

async function pingOverUdp(host: string, settings: EchoRunSettings): Promise<EchoPingResult> {
  const target = parseTarget(host, 'udp', 'echo');
  const addresses = addressesFor(settings.sizeBytes, await resolveHost(target.host, settings.family, settings));
  return firstToTake(
    addresses,
    async (address) => {
      const run = new EchoRun({ address: address.address, port: target.port }, settings);
      const socket = await DatagramSocket.open(
        address,
        target.port,
        {
          datagram: (bytes) => run.takeDatagram(bytes),
          failed: (error) => run.refused(error),
        },
        settings.pathControls,
      );
      try {
        settings.connected?.(socket.peer);
        await run.start(async (payload) => socket.send(payload));
      } finally {
        socket.close();
      }
      return run.result();
    },
    settings.attempts,
  );
}
