import { firstToTake } from './dial/first-to-take.ts';
import { resolveHost } from './dial/resolve-host.ts';
import { parseTarget } from './dial/target.ts';
import { foreverMs } from './dial/wait.ts';
import { readClock, readWallClockUs } from '../kernel/system-clock.ts';
import { FlowSockets } from './requests/flow-sockets.ts';
import { assertFlows } from './requests/flows.ts';
import { addressesFor, assertWithin, largestDatagramBytes, withDefaults } from './options.ts';
import { ReflectorModeProbe } from './stamp/reflector-mode.ts';
import type { StampOptions, StampResult, WallClock } from './stamp/measurement.ts';
import { stampBaseBytes, stampBytes } from './stamp/packet.ts';
import { StampRun } from './stamp/run.ts';

const systemWallClock: WallClock = {
  readUs: () => readWallClockUs() ?? Date.now() * 1000,
  read: readClock,
};

/**
 * Sends test packets to a STAMP or TWAMP Light reflector (RFC 8762, RFC 5357 appendix I), without authentication, and
 * measures delay, jitter and loss. After the last request it waits one timeout for late replies. When the signal
 * aborts, it waits only twice the longest round trip so far for the reply to the last request. At the deadline it ends
 * at once. Throws `ARGUMENT_INVALID`, and `HOST_NOT_FOUND`, `CONNECT_FAILED` or `INTERRUPTED` if there is nothing to
 * report.
 */
export async function stamp(
  host: string,
  options: StampOptions = {},
  wallClock: WallClock = systemWallClock,
): Promise<StampResult> {
  const { count = 0, sizeBytes = stampBytes, intervalMs = 1000, deadlineMs, random = Math.random, flows = 1 } = options;
  const settings = { ...withDefaults(options), count, sizeBytes, intervalMs, flows };
  assertWithin('the count', count, 0, 2 ** 32);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertWithin('the deadline in milliseconds', deadlineMs ?? 1, 1, foreverMs);
  assertFlows(flows, options.pathControls);
  assertWithin('the size of a request', sizeBytes, stampBaseBytes, largestDatagramBytes.ipv6);
  const target = parseTarget(host, 'udp', 'stamp');
  const addresses = addressesFor(sizeBytes, await resolveHost(target.host, settings.family, settings));
  return firstToTake(
    addresses,
    async (address) => {
      // 0 would be none (RFC 8972 section 3).
      const session = 1 + Math.floor(random() * (65_535 - flows));
      const peer = { address: address.address, port: target.port };
      const run = new StampRun(peer, session, settings, wallClock);
      const sockets = await FlowSockets.open(address, target.port, run, { ...settings, wantsArrivals: true });
      let probe: ReflectorModeProbe | undefined;
      try {
        probe = await ReflectorModeProbe.start(address, target.port, { ...settings, session: session + flows });
        settings.connected?.(peer);
        await run.start(async (packet, flow) => sockets.send(packet, flow));
        return run.result(probe.mode);
      } finally {
        probe?.close();
        sockets.close();
      }
    },
    settings.attempts,
  );
}
