import { assertWithin, type PathControls } from '../options.ts';
import { RoundTrips, type RoundTripSummary } from '../round-trips.ts';

/** The most flows of one run. */
export const mostFlows = 256;

/** Throws `ARGUMENT_INVALID` for a number of flows that is out of range, or that reaches past the last port. */
export function assertFlows(flows: number, pathControls: PathControls | undefined): void {
  assertWithin('the number of flows', flows, 1, mostFlows);
  assertWithin('the last source port', (pathControls?.sourcePort ?? 1) + flows - 1, 1, 65_535);
}

/** The path of each flow: with consecutive source ports if there is a first one. */
export function pathsOf(flows: number, pathControls: PathControls | undefined): readonly (PathControls | undefined)[] {
  const { sourcePort } = pathControls ?? {};
  return Array.from({ length: flows }, (_, flow) =>
    sourcePort === undefined ? pathControls : { ...pathControls, sourcePort: sourcePort + flow },
  );
}

/** What became of the requests from one source port. */
export interface FlowSummary extends RoundTripSummary {
  readonly sourcePort: number | undefined;
  /** Why it carries no more requests. */
  readonly problem: string | undefined;
}

interface Flow {
  readonly trips: RoundTrips;
  sourcePort: number | undefined;
  problem: string | undefined;
}

/**
 * The requests of a run by source port. Routers and switches choose a member of a bundle (ECMP, LAG) by addresses and
 * ports, so each flow shows one member. Request N belongs to flow N modulo the number of flows.
 */
export class Flows {
  readonly #flows: readonly Flow[];

  constructor(count: number) {
    this.#flows = Array.from({ length: count }, () => ({
      trips: new RoundTrips(),
      sourcePort: undefined,
      problem: undefined,
    }));
  }

  sendsFrom(index: number, sourcePort: number | undefined): void {
    const flow = this.#flows[index];
    if (flow !== undefined) flow.sourcePort = sourcePort;
  }

  /** The flow carries no more requests. Only its first problem counts. */
  failed(index: number, problem: string): void {
    const flow = this.#flows[index];
    if (flow !== undefined) flow.problem ??= problem;
  }

  /** Whether the flow of this request carries requests. */
  isOpen(sequence: number): boolean {
    return this.#flowOf(sequence)?.problem === undefined;
  }

  /** Whether no flow is left. */
  get isOver(): boolean {
    return this.#flows.every(({ problem }) => problem !== undefined);
  }

  /** `atMs` is monotonic time. */
  sent(sequence: number, atMs: number): void {
    this.#flowOf(sequence)?.trips.sent(sequence, atMs);
  }

  received(sequence: number, atMs: number): void {
    this.#flowOf(sequence)?.trips.received(sequence, atMs);
  }

  corrupted(index: number): void {
    this.#flows[index]?.trips.corrupted();
  }

  summaries(): readonly FlowSummary[] {
    return this.#flows.map(({ trips, sourcePort, problem }) => ({ sourcePort, ...trips.summary(), problem }));
  }

  #flowOf(sequence: number): Flow | undefined {
    return this.#flows[sequence % this.#flows.length];
  }
}
