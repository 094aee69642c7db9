import type { DatagramCounters, StreamCounters } from '../counters.ts';
import type { SourceCount } from '../guard/admission.ts';
import type { ProcessHealth } from '../process-health.ts';
import type { ListenerState, WorkerState } from '../running-daemon.ts';
import type { ReloadResult, ServiceStatus, Snapshot } from './snapshot.ts';

/** Whether a value is of a kind; where it is not, the path of the part that is to blame is added to `faults`. */
type Guard<Value> = (value: unknown, path: string, faults: string[]) => value is Value;

/** Longer is no name of a service. */
const maxWordLength = 256;
/** Longer is no error message. */
const maxTextLength = 64 * 1024;

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function guard<Value>(holds: (value: unknown) => value is Value): Guard<Value> {
  return (value, path, faults): value is Value => holds(value) || fault(path, faults);
}

function fault(path: string, faults: string[]): false {
  faults.push(path);
  return false;
}

/** `1e999` is valid JSON, and infinite. */
const number = guard((value): value is number => typeof value === 'number' && Number.isFinite(value));
const count = guard((value): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
/** Of what workers count: where one has lied, it is no safe integer. */
const sum = guard((value): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0);
const boolean = guard((value): value is boolean => typeof value === 'boolean');
const word = guard((value): value is string => typeof value === 'string' && value.length <= maxWordLength);
const text = guard((value): value is string => typeof value === 'string' && value.length <= maxTextLength);
const time = guard((value): value is string => typeof value === 'string' && !Number.isNaN(Date.parse(value)));

function oneOf<Word extends string>(words: Readonly<Record<Word, true>>): Guard<Word> {
  return guard((value): value is Word => typeof value === 'string' && Object.hasOwn(words, value));
}

/** Counts by reason, which a daemon of another version may have others of. */
function counts<Key extends string>(value: unknown, path: string, faults: string[]): value is Record<Key, number> {
  return record(sum)(value, path, faults);
}

function optional<Value>(inner: Guard<Value>): Guard<Value | undefined> {
  return (value, path, faults): value is Value | undefined => value === undefined || inner(value, path, faults);
}

function nullable<Value>(inner: Guard<Value>): Guard<Value | null> {
  return (value, path, faults): value is Value | null => value === null || inner(value, path, faults);
}

function list<Item>(item: Guard<Item>): Guard<readonly Item[]> {
  return (value, path, faults): value is readonly Item[] =>
    Array.isArray(value) ? value.every((each, index) => item(each, `${path}[${index}]`, faults)) : fault(path, faults);
}

function record<Item>(item: Guard<Item>): Guard<Readonly<Record<string, Item>>> {
  return (value, path, faults): value is Readonly<Record<string, Item>> =>
    isMap(value)
      ? Object.entries(value).every(([key, each]) =>
          key.length <= maxWordLength ? item(each, below(path, key), faults) : fault(path, faults),
        )
      : fault(path, faults);
}

function object<Value extends object>(parts: { readonly [Key in keyof Value]-?: Guard<Value[Key]> }): Guard<Value> {
  const all: readonly (readonly [string, Guard<unknown>])[] = Object.entries(parts);
  return (value, path, faults): value is Value =>
    isMap(value) ? all.every(([key, part]) => part(value[key], below(path, key), faults)) : fault(path, faults);
}

function below(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

const health = object<ProcessHealth>({ lagMs: number, residentBytes: number, heapBytes: number });

const workerStatus = oneOf<WorkerState['status']>({
  starting: true,
  ready: true,
  waiting: true,
  resting: true,
  refused: true,
  stopped: true,
  draining: true,
});

/** Keys that are not known are ignored. */
export const isSnapshot: Guard<Snapshot> = object<Snapshot>({
  version: word,
  node: word,
  // Whether it can be one of a process, `reload` asks.
  pid: number,
  startedAt: time,
  state: oneOf<Snapshot['state']>({ starting: true, ready: true, draining: true }),
  notReady: list(text),
  config: object<Snapshot['config']>({ name: text, hash: word }),
  reload: object<Snapshot['reload']>({
    attempts: count,
    failures: count,
    isRunning: boolean,
    lastSuccessAt: nullable(time),
    last: nullable(object<ReloadResult>({ succeeded: boolean, at: time, tookMs: number, errors: list(text) })),
  }),
  supervisor: health,
  workers: list(
    object<WorkerState>({ worker: count, status: workerStatus, pid: optional(count), health: optional(health) }),
  ),
  workerDeaths: count,
  listeners: list(object<ListenerState>({ service: word, address: text, isOpen: boolean })),
  services: record(
    object<ServiceStatus>({
      type: word,
      topSources: list(object<SourceCount>({ source: word, connections: sum })),
      stream: object<StreamCounters>({
        accepted: sum,
        active: sum,
        bytesIn: number,
        bytesOut: number,
        closed: counts,
        refused: counts,
        wouldRefuse: counts,
      }),
      datagram: object<DatagramCounters>({
        received: sum,
        sent: sum,
        bytesIn: number,
        bytesOut: number,
        dropped: counts,
        wouldDrop: counts,
      }),
    }),
  ),
  lostLogLines: sum,
});
