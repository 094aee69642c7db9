import type { ListenAddress } from '../../address/listen-address.ts';
import type { OpenFiles } from '../../open-files.ts';

/** Events of a descriptor shortage, each once per episode. */
export interface ShortageEvents {
  readonly onShortage: (budget: number) => void;
  /** `refused`: the number of clients refused. */
  readonly onRelief: (refused: number) => void;
}

/** The part of the budget that must be free before a shortage is over. Prevents repeated reports at the brink. */
const reliefPart = 1 / 8;

/** The part of the budget reserved for services in equal shares. The rest is first come, first served. */
const ownPart = 1 / 4;

/**
 * The descriptors that a process has for clients. At the system limit, Node would accept a client and drop it with a
 * bare FIN, without an event. So clients are refused and counted before that point. Existing clients are unaffected,
 * and no service can take another's share.
 */
export class DescriptorBudget {
  readonly #budget: number;
  readonly #own: number;
  readonly #events: ShortageEvents;
  #used = 0;
  /** The unused part of all reserved shares. */
  #owed: number;
  #isShort = false;
  #refused = 0;

  /** `budget` is Infinity for no limit. `services` is the number of services that take clients. */
  constructor(budget: number, services: number, events: ShortageEvents) {
    this.#budget = budget;
    this.#own = budget === Infinity ? 0 : Math.floor((budget * ownPart) / Math.max(1, services));
    this.#owed = this.#own * services;
    this.#events = events;
  }

  /** Returns the share of a service. Call once per service. */
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

  /** Ends a shortage that is over. Call periodically: each period then logs at most two lines. */
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

/** The descriptors for the clients of one service. */
export interface DescriptorShare {
  /** Whether `take` would succeed. Does not count as a refusal. */
  isLeft(): boolean;
  /** Takes a descriptor. Returns false if none is left. */
  take(): boolean;
  /** Returns a descriptor. Call once for each successful `take`. */
  release(): void;
  /** A newcomer takes the descriptor of an evicted client. This also counts as a shortage if none was under way. */
  handedOver(): void;
}

/** Descriptors kept for other uses: Node, pipes, the log, the admin endpoint, files and programs of services. */
const reserve = 64;
/** Headroom on top of descriptors already open. A program that embeds the daemon may have many. */
const reserveBeside = 40;

/** A listen address can need a socket for each family. */
const socketsOfAddress = 2;

interface Listening {
  readonly listen: readonly ListenAddress[];
}

/** The number of descriptors for a process's clients. `files` is undefined if the system does not report its limit. */
export function descriptorBudget(files: OpenFiles | undefined, services: readonly Listening[]): number {
  if (files === undefined) return Infinity;
  const listeners = services.reduce((sum, { listen }) => sum + listen.length * socketsOfAddress, 0);
  return Math.max(0, files.limit - Math.max(reserve, files.open + reserveBeside) - listeners);
}

/** The services that take stream clients, judging by their listen addresses. */
export function streamServices<Service extends Listening>(services: readonly Service[]): readonly Service[] {
  return services.filter(({ listen }) => listen.some(({ scheme }) => scheme !== 'udp'));
}
