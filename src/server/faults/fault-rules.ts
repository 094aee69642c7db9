/** The distribution of a jitter, each with the configured time as its mean. */
export type Distribution = 'normal' | 'uniform' | 'pareto';

/** What happens to answers over UDP. `maxDelayed`: lost because too much is delayed. A fixed set, used as a label. */
export type DatagramFault =
  | 'delay'
  | 'loss'
  | 'duplicate'
  | 'reorder'
  | 'truncate'
  | 'corrupt'
  | 'answers'
  | 'maxDelayed';

/** What happens to stream clients. `maxDelayed`: reset because too much is delayed. A fixed set, used as a label. */
export type StreamFault =
  | 'acceptDelay'
  | 'firstByteDelay'
  | 'delay'
  | 'rate'
  | 'corrupt'
  | 'closeAfter'
  | 'resetAfter'
  | 'resetOnAccept'
  | 'halfCloseEarly'
  | 'blackhole'
  | 'stopReading'
  | 'maxDelayed';

/** A fault that takes time. `timeMs` is null if it is off. */
export interface TimedFault {
  /** From 0 to 1. */
  readonly probability: number;
  readonly timeMs: number | null;
}

/** A delay that varies. */
export interface DelayFault extends TimedFault {
  /** The standard deviation of `normal` and `pareto`, and half the width of `uniform`. */
  readonly jitterMs: number;
  readonly distribution: Distribution;
}

/** The end of a connection after so many bytes of output, or some time after it was served. Off if both are null. */
export interface CutFault extends TimedFault {
  readonly bytes: number | null;
}

/** The most that a service delays in one process. */
export interface DelayedLimits {
  readonly datagrams: number;
  readonly bytes: number;
}

/** How a service misbehaves on purpose. Plain numbers are probabilities, from 0 to 1. */
export interface FaultRules {
  /** From 0 to 2^32 - 1. Equal seeds make equal decisions for equal input. */
  readonly seed: number;
  readonly delay: DelayFault;
  readonly corrupt: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: TimedFault;
  readonly truncate: { readonly probability: number; readonly bytes: number | null };
  readonly answers: { readonly probability: number; readonly count: number | null };
  readonly acceptDelay: TimedFault;
  readonly firstByteDelay: TimedFault;
  readonly rate: { readonly probability: number; readonly bytesPerSecond: number | null };
  readonly closeAfter: CutFault;
  readonly resetAfter: CutFault;
  readonly resetOnAccept: number;
  readonly halfCloseEarly: number;
  readonly blackhole: number;
  readonly stopReading: number;
  readonly maxDelayed: DelayedLimits;
}

/** Returns the faults that can happen, by name, for people to read. Empty if there are none. */
export function activeFaults(rules: FaultRules): Readonly<Record<string, unknown>> {
  const { seed: _seed, maxDelayed: _maxDelayed, ...faults } = rules;
  return Object.fromEntries(Object.entries(faults).filter(([, fault]) => isActive(fault)));
}

type Fault = Exclude<FaultRules[keyof FaultRules], DelayedLimits>;

function isActive(fault: Fault): boolean {
  if (typeof fault === 'number') return fault > 0;
  const amounts = ['timeMs' in fault && fault.timeMs, 'bytes' in fault && fault.bytes];
  const others = ['count' in fault && fault.count, 'bytesPerSecond' in fault && fault.bytesPerSecond];
  return fault.probability > 0 && [...amounts, ...others].some((amount) => typeof amount === 'number');
}
