import type { Clock } from '../../clock/clock.ts';
import type { ServiceRates, ServiceStatus, Snapshot } from './snapshot.ts';

/** How many seconds are kept. */
const secondsKept = 300;

/** Services beyond have rates, but no past. It takes at most 150 KB. */
const servicesKept = 64;

/** Rates are taken over this many samples, as those of the history. */
const rateSamples = 2;

interface Sample {
  readonly atMs: number;
  readonly totals: ReadonlyMap<string, ServiceRates>;
}

/** What each service does in a second: now, and how many requests it had in each of the last seconds. */
export class ServiceHistory {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #samples: Sample[] = [];
  /** By service, oldest first. */
  readonly #requests = new Map<string, (number | null)[]>();
  #rates: ReadonlyMap<string, ServiceRates> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be called once a second. */
  record(services: Snapshot['services']): void {
    const atMs = this.#clock.monotonicMs();
    const totals = new Map(Object.entries(services).map(([name, service]) => [name, totalsOf(service)]));
    const [before] = this.#samples;
    this.#rates = new Map(
      [...totals].flatMap(([name, total]) => {
        const rates = ratesOf(total, before?.totals.get(name), atMs - (before?.atMs ?? atMs));
        return rates === undefined ? [] : [[name, rates]];
      }),
    );
    this.#samples.push({ atMs, totals });
    if (this.#samples.length > rateSamples) this.#samples.shift();
    for (const name of this.#requests.keys()) if (!totals.has(name)) this.#requests.delete(name);
    for (const name of [...totals.keys()].slice(0, servicesKept)) this.#keep(name);
  }

  /** Undefined until the service has been seen for a second. */
  rates(name: string): ServiceRates | undefined {
    return this.#rates.get(name);
  }

  /** Requests a second by service, oldest first. The last value of each is of the last call of `record`. */
  get requests(): Readonly<Record<string, readonly (number | null)[]>> {
    return Object.fromEntries(this.#requests);
  }

  #keep(name: string): void {
    const values = this.#requests.get(name) ?? [];
    values.push(this.#rates.get(name)?.requests ?? null);
    if (values.length > secondsKept) values.shift();
    this.#requests.set(name, values);
  }
}

function totalsOf({ stream, datagram }: ServiceStatus): ServiceRates {
  return {
    requests: stream.accepted + datagram.received,
    bytesIn: stream.bytesIn + datagram.bytesIn,
    bytesOut: stream.bytesOut + datagram.bytesOut,
    refused: sum(stream.refused),
    dropped: sum(datagram.dropped),
  };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** What a service has done in each second of a time. Undefined if the later counters are less, or not numbers. */
export function growth(before: ServiceStatus, now: ServiceStatus, tookMs: number): ServiceRates | undefined {
  return ratesOf(totalsOf(now), totalsOf(before), tookMs);
}

/** Undefined without an earlier value, or if the counters are others: a compromised worker may report anything. */
function ratesOf(now: ServiceRates, before: ServiceRates | undefined, tookMs: number): ServiceRates | undefined {
  if (before === undefined || tookMs <= 0) return undefined;
  const rate = (key: keyof ServiceRates): number => Math.round(((now[key] - before[key]) / tookMs) * 100_000) / 100;
  const rates: ServiceRates = {
    requests: rate('requests'),
    bytesIn: rate('bytesIn'),
    bytesOut: rate('bytesOut'),
    refused: rate('refused'),
    dropped: rate('dropped'),
  };
  return Object.values(rates).every((each) => Number.isFinite(each) && each >= 0) ? rates : undefined;
}
