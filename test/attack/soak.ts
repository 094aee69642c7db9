/** Attack 17: requests of every kind, over and over, and whether the daemon keeps something of each. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ServiceCounters } from '../../src/server/counters.ts';
import { DaemonProcess, inOneProcess } from '../support/daemon-process.ts';
import { type Growth, growthOf, type Rest, slices } from './growth.ts';
import { freePort } from '../support/ports.ts';
import { askProbe, heldBytes, probeModule } from './probe.ts';
import { type Answers, RequestProgram, type Requests } from './requests.ts';

/** What one kind of request came to. */
export interface SoakedKind extends Growth {
  readonly kind: string;
  readonly requests: number;
  /** With the right bytes; where nothing is owed, received. */
  readonly answered: number;
  readonly seconds: number;
  /** Refused or dropped by a guard: none may be, for what a guard refuses costs nothing. */
  readonly turnedAway: number;
}

type Kind = Pick<Requests, 'service' | 'manner'>;

type Target = ReturnType<DaemonProcess['target']>;

const services = ['echo', 'discard', 'chargen', 'qotd', 'systat', 'daytime', 'time'] as const;

/** All that a stranger can ask for. */
const kinds: readonly Kind[] = [
  { service: 'echo', manner: 'stay' },
  ...services.map((service) => ({ service, manner: 'connections' as const })),
  ...services.map((service) => ({ service, manner: 'datagrams' as const })),
];

const outOfReach = { perSecond: 10_000_000, burst: 10_000_000 };

/** Every check runs, and none refuses. */
const defaults = {
  exempt: [],
  maxConnections: 100_000,
  maxConnectionsPerSource: 100_000,
  connectionRate: outOfReach,
  datagramRate: outOfReach,
  datagramServiceRate: outOfReach,
};

/** A slice of requests is given up after this long. */
const sliceMs = 180_000;

/** Clients are gone within their linger timeout, 5 s, and two sweeps. */
const restMs = 10_000;

/** Longer than a client that was answered is left alone: the last one to look must be gone. */
const restPollMs = 25;

/** Echo over UDP that keeps an object of 32 bytes of each request: what a leak looks like. */
const leakingModule = fileURLToPath(new URL('fixtures/leaks.js', import.meta.url));

/** Makes so many requests of every kind, a number that `slices` divides, one kind after the other. */
export async function soak(requests: number): Promise<readonly SoakedKind[]> {
  const soaking = await Soaking.begin(services);
  // What one kind has compiled, another has compiled again: so each was there once before any is looked at.
  for (const kind of kinds) await soaking.ask(kind, requests / slices);
  const soaked: SoakedKind[] = [];
  for (const kind of kinds) soaked.push(await soaking.soak(kind, requests));
  return soaked;
}

/** The same with a service that leaks. */
export async function soakLeak(requests: number): Promise<SoakedKind> {
  const soaking = await Soaking.begin(['echo'], { module: leakingModule });
  return await soaking.soak({ service: 'echo', manner: 'datagrams' }, requests);
}

/** A daemon, and those who ask it. */
class Soaking {
  readonly #daemon: DaemonProcess;
  readonly #program: RequestProgram;
  readonly #probe: Target;
  /** Those of the daemon without clients, but for the one who counts them. */
  readonly #descriptors: number;

  private constructor(daemon: DaemonProcess, program: RequestProgram, probe: Target, descriptors: number) {
    this.#daemon = daemon;
    this.#program = program;
    this.#probe = probe;
    this.#descriptors = descriptors;
  }

  static async begin(served: readonly string[], keys: object = {}): Promise<Soaking> {
    const program = RequestProgram.compile();
    const daemon = await serve(served, keys);
    const probe = daemon.target('probe', 'tcp');
    const { descriptors } = await askProbe(probe);
    return new Soaking(daemon, program, probe, descriptors);
  }

  async ask(kind: Kind, count: number): Promise<Answers> {
    const { service, manner } = kind;
    const { port } = this.#daemon.target(service, manner === 'datagrams' ? 'udp' : 'tcp');
    const pace = isSilent(kind) ? { pacePort: this.#daemon.target('echo', 'udp').port } : {};
    return await this.#program.ask({ ...kind, port, count, ...pace }, sliceMs);
  }

  async soak(kind: Kind, requests: number): Promise<SoakedKind> {
    const before = await this.#counters(kind.service);
    const rests = [await this.#rest(0)];
    let answered = 0;
    let seconds = 0;
    for (let slice = 1; slice <= slices; slice += 1) {
      const answers = await this.ask(kind, requests / slices);
      answered += answers.answered;
      seconds += answers.seconds;
      rests.push(await this.#rest((slice * requests) / slices));
    }
    const after = await this.#counters(kind.service);
    if (isSilent(kind)) answered = after.datagram.received - before.datagram.received;
    const refused = turnedAway(after) - turnedAway(before);
    return { kind: nameOf(kind), requests, answered, seconds, turnedAway: refused, ...growthOf(rests) };
  }

  /**
   * The process once its clients are gone and a collection frees nothing more: a socket's own memory goes in the third,
   * after those of its handle and its wrapper.
   */
  async #rest(requests: number): Promise<Rest> {
    const endMs = performance.now() + restMs;
    let before = await askProbe(this.#probe);
    for (;;) {
      await sleep(restPollMs);
      const probe = await askProbe(this.#probe);
      const isSettled = probe.descriptors <= this.#descriptors && heldBytes(probe) >= heldBytes(before);
      if (isSettled || performance.now() > endMs) {
        const { rss, descriptors } = probe;
        return { requests, heldBytes: heldBytes(probe), residentBytes: rss, descriptors };
      }
      before = probe;
    }
  }

  async #counters(service: string): Promise<ServiceCounters> {
    const { counters: all } = (await this.#daemon.state()) as unknown as {
      readonly counters: Readonly<Record<string, ServiceCounters>>;
    };
    const counters = all[service];
    if (counters === undefined) throw new Error(`the daemon does not count ${service}`);
    return counters;
  }
}

async function serve(served: readonly string[], keys: object): Promise<DaemonProcess> {
  const entries = served.map(async (service) => {
    // A port that the system gives to clients would be one of ours to the guard where a client of ours gets it, too.
    const listen = ['tcp4://127.0.0.1:0', `udp4://127.0.0.1:${await freePort()}`];
    return [service, { listen, ...(service === 'daytime' && { zone: 'UTC' }), ...keys }] as const;
  });
  return await DaemonProcess.serve({
    ...inOneProcess,
    log: { connections: 'info' },
    defaults,
    services: {
      ...Object.fromEntries(await Promise.all(entries)),
      probe: { module: probeModule, listen: ['tcp4://127.0.0.1:0'] },
    },
  });
}

/** It owes no answer: the daemon's own count says what has come. */
function isSilent({ service, manner }: Kind): boolean {
  return manner === 'datagrams' && service === 'discard';
}

function turnedAway({ stream, datagram }: ServiceCounters): number {
  return [...Object.values(stream.refused), ...Object.values(datagram.dropped)].reduce((sum, count) => sum + count, 0);
}

function nameOf({ service, manner }: Kind): string {
  if (manner === 'datagrams') return `${service}, UDP`;
  return manner === 'stay' ? `${service}, TCP, on connections that stay` : `${service}, TCP, a connection each`;
}
