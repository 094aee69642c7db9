import * as v from 'valibot';
import type { Snapshot } from './snapshot.ts';

/** A longer path must contain a made-up name. */
const maxFaultLength = 100;

/** JSON allows `1e999`, which is infinite. */
export const number = v.pipe(v.number(), v.finite());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** A sum over workers. If a worker lied, it need not be a safe integer. */
const sum = v.pipe(number, v.minValue(0));
/** Long enough for any service name. */
export const word = v.pipe(v.string(), v.maxLength(256));
/** Long enough for any error message. */
export const text = v.pipe(v.string(), v.maxLength(64 * 1024));
export const time = v.pipe(
  v.string(),
  v.check((value) => !Number.isNaN(Date.parse(value))),
);
/** Counts by reason. A daemon of another version may have other reasons. */
const counts = v.record(word, sum);
const health = v.looseObject({
  lagMs: number,
  residentBytes: number,
  heapBytes: number,
  cpuMs: v.optional(number),
  cpuSystemMs: v.optional(number),
  upMs: v.optional(number),
});
const cpuTime = v.looseObject({ userMs: number, systemMs: number });
const handlerTime = v.looseObject({ buckets: v.array(sum), sumNs: sum });
const reloadResult = v.looseObject({
  succeeded: v.boolean(),
  at: time,
  agoMs: v.optional(number),
  tookMs: number,
  code: v.optional(word),
  errors: v.array(text),
});
/** One for each reason. A table looks for the one of each, so an impostor must not send very many. */
const offenders = v.pipe(v.array(v.looseObject({ reason: word, source: word, count: sum })), v.maxLength(100));
const traffic = { bytesIn: number, bytesOut: number };

/** Unknown keys are ignored. */
export const statusShape = v.looseObject({
  version: word,
  node: word,
  // `reload` checks whether it can be a process id.
  pid: number,
  startedAt: time,
  upMs: v.optional(number),
  state: v.picklist(['starting', 'ready', 'draining']),
  notReady: v.array(text),
  config: v.looseObject({ name: text, hash: word }),
  reload: v.looseObject({
    attempts: count,
    failures: count,
    isRunning: v.boolean(),
    lastSuccessAt: v.nullable(time),
    last: v.nullable(reloadResult),
  }),
  supervisor: health,
  cpu: v.optional(v.looseObject({ supervisor: cpuTime, workers: v.array(cpuTime), admin: v.optional(cpuTime) })),
  // A table looks for the earlier report of each.
  workers: v.pipe(
    v.array(
      v.looseObject({
        worker: count,
        slot: v.optional(count),
        // `refused`: in version 0.1.0, of a worker that is not restarted.
        status: v.picklist(['starting', 'ready', 'waiting', 'resting', 'refused', 'stopped', 'draining']),
        pid: v.optional(count),
        health: v.optional(health),
        restarts: v.optional(count),
      }),
    ),
    v.maxLength(10_000),
  ),
  workerDeaths: count,
  listeners: v.array(v.looseObject({ service: word, address: text, isOpen: v.boolean() })),
  services: v.record(
    word,
    v.looseObject({
      type: word,
      topSources: v.array(v.looseObject({ source: word, connections: sum })),
      offenders: v.optional(v.looseObject({ refused: offenders, dropped: offenders })),
      stream: v.looseObject({
        accepted: sum,
        active: sum,
        ...traffic,
        closed: counts,
        refused: counts,
        wouldRefuse: counts,
        // Earlier versions do not say.
        faults: v.optional(counts, {}),
      }),
      datagram: v.looseObject({
        received: sum,
        sent: sum,
        ...traffic,
        dropped: counts,
        wouldDrop: counts,
        faults: v.optional(counts, {}),
      }),
      handlerTime: v.optional(v.looseObject({ stream: handlerTime, datagram: handlerTime })),
      rates: v.optional(v.looseObject({ requests: sum, bytesIn: sum, bytesOut: sum, refused: sum, dropped: sum })),
      custom: v.optional(v.record(word, v.looseObject({ help: text, count: sum }))),
    }),
  ),
  lostLogLines: sum,
});

/** Validates what a daemon, or anything in its place, sends. `fault` is the path of the first invalid value. */
export function readSnapshot(value: unknown): { readonly snapshot: Snapshot } | { readonly fault: string } {
  // Otherwise an array would pass as an object.
  if (Array.isArray(value)) return { fault: '' };
  const result = v.safeParse(statusShape, value, { abortEarly: true });
  // Counts by reason may be incomplete, and are printed as they are.
  if (result.success) return { snapshot: result.output as unknown as Snapshot };
  return { fault: faultOf(result.issues) };
}

/** The path of what is invalid. */
export function faultOf([issue]: readonly [v.BaseIssue<unknown>, ...unknown[]]): string {
  return (v.getDotPath(issue) ?? '').slice(0, maxFaultLength);
}
