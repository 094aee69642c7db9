import type { StampResult } from '../stamp/measurement.ts';
import { formatMilliseconds, formatRoundTrips } from './round-trips.ts';

/** The last lines of `smallserv stamp`: those of echo and ping, and what only a reflector tells. */
export function formatStampSummary(peer: string, result: StampResult): string {
  const { reflectorTimes, jitter, forward, backward } = result;
  const lines = [
    reflectorTimes &&
      `reflector min/avg/max = ${formatMilliseconds([reflectorTimes.minMs, reflectorTimes.meanMs, reflectorTimes.maxMs])} ms`,
    forward && `there min/avg/max = ${formatMilliseconds([forward.minMs, forward.meanMs, forward.maxMs])} ms`,
    backward && `back min/avg/max = ${formatMilliseconds([backward.minMs, backward.meanMs, backward.maxMs])} ms`,
    reflectorTimes && describeClocks(result),
    jitter &&
      `jitter there/back/rtt = ${formatMilliseconds([jitter.forwardMs, jitter.backwardMs, jitter.roundTripMs])} ms`,
    describeLoss(result),
  ];
  const known = lines.filter((line) => line !== undefined).map((line) => `${line}\n`);
  return formatRoundTrips(peer, result, result.elapsedMs) + known.join('');
}

function describeClocks({ clocks: { local, reflector }, oneWayErrorMs }: StampResult): string | undefined {
  if (oneWayErrorMs !== undefined)
    return `clocks: both synchronized, each delay there and back is exact to ±${oneWayErrorMs.toFixed(3)} ms`;
  if (local.isSynchronized && reflector?.isSynchronized === true)
    return 'clocks: both synchronized, but the reflector counts in the time scale of PTP: no delays there and back';
  const fault = 'is not synchronized';
  const which = local.isSynchronized
    ? `that of the reflector ${fault}`
    : reflector?.isSynchronized === true
      ? `that of this machine ${fault}`
      : 'neither is synchronized';
  return `clocks: ${which}: no delays there and back`;
}

function describeLoss({ lost, received, oneWayLoss, reflectorMode, flows }: StampResult): string | undefined {
  if (lost === 0) return undefined;
  if (received === 0) return `lost ${lost}, there or back: no reply came`;
  if (oneWayLoss !== undefined) {
    const { forward, backward, unknown } = oneWayLoss;
    const rest = unknown === 0 ? '' : `, ${unknown}${flows === undefined ? ' at the end' : ''}, there or back`;
    return `lost ${forward} on the way there, ${backward} on the way back${rest}`;
  }
  const reasons = {
    stateless: 'the reflector does not count',
    stateful: 'the reflector began to count again',
    unknown: 'whether the reflector counts is not known',
  };
  return `lost ${lost}, there or back: ${reasons[reflectorMode ?? 'unknown']}`;
}
