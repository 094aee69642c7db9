import type { StreamLimits } from './limits.ts';

/** A process's share of the stream limits, rounded up. The sum exceeds a limit by less than the number of processes. */
export function shareOf(limits: StreamLimits, processes: number): StreamLimits {
  const part = (limit: number): number => Math.ceil(limit / processes);
  const { maxConnections, maxConnectionsPerSource, connectionRate } = limits;
  return {
    ...limits,
    maxConnections: part(maxConnections),
    maxConnectionsPerSource: part(maxConnectionsPerSource),
    connectionRate: { perSecond: part(connectionRate.perSecond), burst: part(connectionRate.burst) },
  };
}
