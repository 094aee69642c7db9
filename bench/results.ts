import type { Sample } from './load-generator.ts';
import type { Machine } from './machine.ts';
import type { Family } from './peers.ts';
import type { Spread } from './statistics.ts';
import { ratioOfPairs } from './statistics.ts';

/** What the report tells of a peer. */
export interface PeerName {
  readonly id: string;
  readonly family: Family;
  readonly nodeMajor?: number;
  readonly workers?: number;
  readonly label: string;
}

/** The samples of each peer by its id, one each round; undefined where a measurement failed. */
type Samples = Readonly<Record<string, readonly (Sample | undefined)[]>>;

export interface WorkResult {
  readonly name: string;
  readonly title: string;
  readonly unit: 'operations' | 'bytes';
  readonly clients: number;
  readonly samples: Samples;
}

/** Memory of a peer: with no clients after some work, and per idle client. */
export interface MemoryResult {
  readonly clients: number;
  readonly emptyBytes: readonly number[];
  readonly bytesPerClient: readonly number[];
}

/** Starts of a peer: until its first answer. */
export interface StartResult {
  readonly ms: readonly number[];
  readonly cpuMs: readonly number[];
}

/** Reloads of a smallservd under load. */
export interface ReloadResult {
  readonly ms: readonly number[];
  readonly longestWaitMs: readonly number[];
  readonly connections: number;
  readonly errors: number;
}

/** TCP echo for some time. */
export interface PagesSample {
  readonly operations: number;
  readonly seconds: number;
  /** CPU time of all processes of the server but the worker. */
  readonly restCpuSeconds: number;
}

/** TCP echo without the admin endpoint, with it, and with open pages: a sample each round. */
export interface PagesResult {
  readonly without: readonly PagesSample[];
  readonly collecting: readonly PagesSample[];
  readonly pages: readonly PagesSample[];
}

/** All that a run has measured. The report is made from it alone. */
export interface Results {
  readonly date: string;
  readonly command: string;
  readonly minutes: number;
  readonly roundSeconds: number;
  readonly machine: Machine;
  readonly peers: readonly PeerName[];
  readonly works: readonly WorkResult[];
  readonly memory: Readonly<Record<string, MemoryResult>>;
  readonly starts: Readonly<Record<string, StartResult>>;
  readonly reloads: Readonly<Record<string, ReloadResult>>;
  /** By the id of a smallservd. */
  readonly pages: Readonly<Record<string, PagesResult>>;
  /** Peers that the machine does not have, and how to get them. */
  readonly missing: readonly string[];
  /** What was not measured, or went wrong. */
  readonly remarks: readonly string[];
}

/** What can be read off a sample. */
export type Figure = 'rate' | 'cpu' | 'p50' | 'p99' | 'busy';

/**
 * Returns a figure of a sample: operations or bytes a second, CPU seconds for each of them, percentiles in
 * microseconds, or the share of the processor that the server used.
 */
function figureOf(sample: Sample, figure: Figure, unit: WorkResult['unit']): number {
  const count = unit === 'bytes' ? sample.bytes : sample.operations;
  switch (figure) {
    case 'rate':
      return count / sample.seconds;
    case 'cpu':
      return sample.cpuSeconds / count;
    case 'p50':
      return sample.p50Us;
    case 'p99':
      return sample.p99Us;
    case 'busy':
      return sample.cpuSeconds / sample.seconds;
  }
}

/** The values of a figure in all rounds of a work. */
export function valuesOf(work: WorkResult, peer: string, figure: Figure): readonly (number | undefined)[] {
  return (work.samples[peer] ?? []).map((sample) => sample && figureOf(sample, figure, work.unit));
}

/** The ratio of a figure of two peers, pair by pair. */
export function compare(work: WorkResult, ours: string, theirs: string, figure: Figure): Spread | undefined {
  return ratioOfPairs(valuesOf(work, ours, figure), valuesOf(work, theirs, figure));
}

/** The share of the processor that all processes but the worker used, in each round. */
export function restOf(samples: readonly PagesSample[]): readonly number[] {
  return samples.map(({ restCpuSeconds, seconds }) => restCpuSeconds / seconds);
}

/** Echoes a second, in each round. */
export function rateOf(samples: readonly PagesSample[]): readonly number[] {
  return samples.map(({ operations, seconds }) => operations / seconds);
}

export function resultOf(results: Results, name: string): WorkResult | undefined {
  return results.works.find((work) => work.name === name);
}
