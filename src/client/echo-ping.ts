import { Connection, type Endpoint } from './dial/connection.ts';
import { firstToTake } from './dial/first-to-take.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { foreverMs, onAbort, throwIfInterrupted } from './dial/wait.ts';
import { assertKeepAlive, type EchoPingOptions } from './echo/options.ts';
import type { EchoPingEvent, EchoPingResult } from './echo/result.ts';
import { EchoRun, type EchoRunSettings } from './echo/run.ts';
import { FlowSockets } from './requests/flow-sockets.ts';
import { assertFlows, pathsOf } from './requests/flows.ts';
import { addressesFor, assertWithin, largestDatagramBytes, withDefaults } from './options.ts';

export type { EchoPingEvent, EchoPingOptions, EchoPingResult };

/**
 * Sends numbered requests to an echo service (RFC 862) at intervals, over one connection or as datagrams, and verifies
 * the answers. After the last request it waits one timeout for late answers. When the signal aborts, it waits only
 * twice the longest round trip so far for the answer to the last request. At the deadline it ends at once. Throws
 * `ARGUMENT_INVALID`, and `HOST_NOT_FOUND`, `CONNECT_FAILED` or `INTERRUPTED` if there is nothing to report.
 */
export async function echoPing(host: string, options: EchoPingOptions = {}): Promise<EchoPingResult> {
  const { count = 0, sizeBytes = 512, intervalMs = 1000, deadlineMs, random = Math.random, flows = 1 } = options;
  const settings = { ...withDefaults(options), count, sizeBytes, intervalMs, random, flows };
  assertKeepAlive(options);
  assertWithin('the count', count, 0, Number.MAX_SAFE_INTEGER);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertFlows(flows, options.pathControls);
  assertWithin('the deadline in milliseconds', deadlineMs ?? 1, 1, foreverMs);
  if (options.udp === true) {
    assertWithin('the size of a datagram', sizeBytes, 0, largestDatagramBytes.ipv6);
    return pingOverUdp(host, settings);
  }
  assertWithin('the size of a request over TCP', sizeBytes, 1, 16 * 1024 * 1024);
  return pingOverTcp(host, settings);
}

async function pingOverTcp(host: string, settings: EchoRunSettings): Promise<EchoPingResult> {
  const target = parseTarget(host, 'tcp', 'echo');
  if (settings.flows > 1) return pingOverConnections(target, settings);
  const connection = await openConnection(target, settings);
  return pingThrough([connection], connection.peer, settings);
}

/** Connects each flow to the first address that takes one. Flows that cannot connect are in the result. */
async function pingOverConnections(target: Target, settings: EchoRunSettings): Promise<EchoPingResult> {
  const addresses = await resolveHost(target.host, settings.family, settings);
  const connections = await firstToTake(
    addresses,
    async ({ address }) => {
      const opened = await Promise.allSettled(
        pathsOf(settings.flows, settings.pathControls).map(async (pathControls) =>
          openConnection({ host: address, port: target.port }, { ...settings, attempts: undefined, pathControls }),
        ),
      );
      if (opened.every((each) => each.status === 'rejected')) throw opened[0]?.reason;
      return opened.map((each) => (each.status === 'fulfilled' ? each.value : (each.reason as Error)));
    },
    settings.attempts,
  );
  const first = connections.find((each) => each instanceof Connection);
  return pingThrough(connections, first?.peer ?? { address: target.host, port: target.port }, settings);
}

/** Runs over these connections, or errors in their place, and closes them. */
async function pingThrough(
  connections: readonly (Connection | Error)[],
  peer: Endpoint,
  settings: EchoRunSettings,
): Promise<EchoPingResult> {
  const run = new EchoRun(peer, settings);
  try {
    settings.connected?.(peer);
    const paths = pathsOf(settings.flows, settings.pathControls);
    for (const [flow, connection] of connections.entries()) {
      const isOpen = connection instanceof Connection;
      run.sendsFrom(flow, isOpen ? connection.local.port : paths[flow]?.sourcePort);
      if (!isOpen) run.flowEnded(flow, connection);
    }
    const ended = run.start(async (payload, flow) => {
      const connection = connections[flow];
      if (connection instanceof Connection) await connection.write(payload);
    });
    for (const [flow, connection] of connections.entries())
      if (connection instanceof Connection) void readMessages(connection, run, flow, settings.sizeBytes);
    await ended;
  } finally {
    for (const connection of connections) if (connection instanceof Connection) connection.destroy();
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
async function readMessages(connection: Connection, run: EchoRun, flow: number, sizeBytes: number): Promise<void> {
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
        run.takeMessage(message, flow);
        length = 0;
      }
    }
    run.peerClosed(flow);
  } catch (error) {
    run.flowEnded(flow, error);
  }
}

async function pingOverUdp(host: string, settings: EchoRunSettings): Promise<EchoPingResult> {
  const target = parseTarget(host, 'udp', 'echo');
  const addresses = addressesFor(settings.sizeBytes, await resolveHost(target.host, settings.family, settings));
  return firstToTake(
    addresses,
    async (address) => {
      const run = new EchoRun({ address: address.address, port: target.port }, settings);
      const sockets = await FlowSockets.open(address, target.port, run, { ...settings, wantsArrivals: false });
      try {
        settings.connected?.({ address: address.address, port: target.port });
        await run.start(async (payload, flow) => sockets.send(payload, flow));
      } finally {
        sockets.close();
      }
      return run.result();
    },
    settings.attempts,
  );
}
