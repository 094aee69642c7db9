import type { ListenAddress } from '../../address/listen-address.ts';
import type { OpenFiles } from '../../open-files.ts';

/** What is told of a shortage, once each for every episode. */
export interface ShortageEvents {
  readonly onShortage: (budget: number) => void;
  /** `refused`: how many clients it cost. */
  readonly onRelief: (refused: number) => void;
}

/**
 * The part of the budget that must be free again before a shortage is over, so that one at the brink is not told again
 * and again.
 */
const reliefPart = 1 / 8;

/**
 * The part of the budget that belongs to single services, an equal share to each; the rest is for whoever comes first.
 */
const ownPart = 1 / 4;

/**
 * The descriptors that one process has for its clients. At the system's own limit Node accepts a client and drops it
 * with a bare FIN, without an event: so clients are refused, and counted, before that. Those there are served on, and
 * no service can take the share of another.
 */
export class DescriptorBudget {
  readonly #budget: number;
  readonly #own: number;
  readonly #events: ShortageEvents;
  #used = 0;
  /** What services have not used of their own. */
  #owed: number;
  #isShort = false;
  #refused = 0;

  /** `budget`: Infinity for no limit. `services`: how many take clients. */
  constructor(budget: number, services: number, events: ShortageEvents) {
    this.#budget = budget;
    this.#own = budget === Infinity ? 0 : Math.floor((budget * ownPart) / Math.max(1, services));
    this.#owed = this.#own * services;
    this.#events = events;
  }

  /** What one service takes its descriptors from; once for each of the services. */
  share(): DescriptorShare {
    let used = 0;
    const isLeft = (): boolean => used < this.#own || this.#used + this.#owed < this.#budget;
    return {
      isLeft,
      take: () => {
        if (!isLeft()) {
          this.#refused += 1;
          this.#tellShortage();
          return false;
        }
        if (used < this.#own) this.#owed -= 1;
        used += 1;
        this.#used += 1;
        return true;
      },
      release: () => {
        used -= 1;
        this.#used -= 1;
        if (used < this.#own) this.#owed += 1;
      },
      handedOver: () => {
        if (!isLeft()) this.#tellShortage();
      },
    };
  }

  /** Ends a shortage that is over; to be called now and then: the log then has two lines in that time at the most. */
  review(): void {
    const taken = this.#used + this.#owed;
    if (!this.#isShort || taken >= this.#budget || taken > this.#budget * (1 - reliefPart)) return;
    this.#isShort = false;
    this.#events.onRelief(this.#refused);
    this.#refused = 0;
  }

  #tellShortage(): void {
    if (!this.#isShort) this.#events.onShortage(this.#budget);
    this.#isShort = true;
  }
}

/** The descriptors of one service's clients. */
export interface DescriptorShare {
  /** Whether `take` would give one; nobody is refused by asking. */
  isLeft(): boolean;
  /** Takes one. False: there is none. */
  take(): boolean;
  /** The client is gone; once for each `take` that gave one. */
  release(): void;
  /** A newcomer gets that of a client who is made to go: a shortage too, if there was no other. */
  handedOver(): void;
}

/**
 * Descriptors that are no client's: Node's own, pipes, the log, the admin endpoint, files that services read, programs
 * that they start.
 */
const reserve = 64;
/** What is kept for later beside what is open already: a program that embeds the daemon may have much open. */
const reserveBeside = 40;

/** A listen address can stand for a socket of each family. */
const socketsOfAddress = 2;

interface Listening {
  readonly listen: readonly ListenAddress[];
}

/** How many descriptors a process has for clients; `files` is undefined where the system does not tell. */
export function descriptorBudget(files: OpenFiles | undefined, services: readonly Listening[]): number {
  if (files === undefined) return Infinity;
  const listeners = services.reduce((sum, { listen }) => sum + listen.length * socketsOfAddress, 0);
  return Math.max(0, files.limit - Math.max(reserve, files.open + reserveBeside) - listeners);
}

/** The services that take stream clients, as far as their listen addresses tell. */
export function streamServices<Service extends Listening>(services: readonly Service[]): readonly Service[] {
  return services.filter(({ listen }) => listen.some(({ scheme }) => scheme !== 'udp'));
}
