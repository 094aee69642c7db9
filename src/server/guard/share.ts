import type { Rate, StreamLimits } from './limits.ts';

/** A process's share of the stream limits, rounded up. The sum exceeds a limit by less than the number of processes. */
export function shareOf(limits: StreamLimits, processes: number): StreamLimits {
  return {
    ...limits,
    maxConnections: part(limits.maxConnections, processes),
    maxConnectionsPerSource: part(limits.maxConnectionsPerSource, processes),
    connectionRate: partOfRate(limits.connectionRate, processes),
  };
}

function partOfRate({ perSecond, burst }: Rate, processes: number): Rate {
  return { perSecond: part(perSecond, processes), burst: part(burst, processes) };
}

function part(limit: number, processes: number): number {
  return Math.ceil(limit / processes);
}
