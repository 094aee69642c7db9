/** What became of a packet, sent several times if need be. Sizes are those of IP packets, with all headers. */
export type ProbeOutcome =
  /** `fragmentBytes` is the largest fragment of an answer that came in fragments. */
  | { readonly kind: 'answered'; readonly fragmentBytes: number | undefined }
  /** `from` is the router that said so, or undefined for this machine. `mtuBytes` is 0 if it did not say. */
  | { readonly kind: 'too-big'; readonly from: string | undefined; readonly mtuBytes: number }
  | { readonly kind: 'silent' };

/** Sends packets of exact sizes. */
export interface PathProbes {
  /** An echo request that nobody may fragment. */
  whole(bytes: number): Promise<ProbeOutcome>;
  /** An echo request in fragments, for a path that takes packets of `pathMtuBytes`. */
  fragmented(bytes: number, pathMtuBytes: number): Promise<ProbeOutcome>;
  /** A packet that nobody may fragment, whose answer is a small ICMP error of the host itself. */
  oneWay(bytes: number): Promise<ProbeOutcome>;
}

/** What is known of the path in one direction: the largest packet that it takes. */
export interface DirectionMtu {
  readonly atLeastBytes: number;
  /** Undefined if it may be larger. */
  readonly atMostBytes: number | undefined;
}

/** What bounds packets: the interface of this machine, a router that says so, or one that drops them in silence. */
export type ForwardLimit = 'interface' | 'router' | 'black-hole';

export interface PathMtu {
  /** The largest packet that went there and came back in one piece. */
  readonly mtuBytes: number;
  readonly forward: DirectionMtu & {
    /** Undefined if packets get lost, but it cannot be told on which way; or if nothing limits them. */
    readonly limit: ForwardLimit | undefined;
    /** The router that said so, and the MTU that it told, 0 if it did not. */
    readonly router: { readonly address: string; readonly mtuBytes: number } | undefined;
  };
  readonly backward: DirectionMtu & {
    /** Whether larger replies get lost on the way back, although the requests arrive. */
    readonly isBlackHole: boolean;
  };
  /** Whether packets larger than `mtuBytes` get lost silently, and it cannot be told on which way. */
  readonly isLossAmbiguous: boolean;
  /** The largest echo request, in fragments, whose answer comes back. */
  readonly largestBytes: number;
}

type TooBig = ProbeOutcome & { readonly kind: 'too-big' };

interface Bounds {
  low: number;
  high: number;
}

/** A router that always tells one byte less must not make the search long. */
const mostHints = 8;

/** Fragments carry multiples of 8 bytes, so that the MTU may be up to 7 bytes larger. */
const fragmentSlackBytes = 7;

/**
 * Measures a path. `leastBytes` has been answered in one piece. `mostBytes` is the largest IP packet. The search takes
 * for granted that a path that takes a packet takes smaller ones, too.
 */
export async function measurePath(probes: PathProbes, leastBytes: number, mostBytes: number): Promise<PathMtu> {
  return new PathSearch(probes, leastBytes, mostBytes).run();
}

class PathSearch {
  readonly #probes: PathProbes;
  readonly #leastBytes: number;
  readonly #mostBytes: number;
  /** The largest packet known to arrive there, and the largest that may. */
  #forward: Bounds;
  #limit: ForwardLimit | undefined;
  #router: PathMtu['forward']['router'];
  #interfaceBytes = 0;
  /** The same for the way back. */
  #backward: { low: number; high: number | undefined };
  #isBackwardBlackHole = false;
  #isLossAmbiguous = false;
  #largestWhole: number;
  #largestAnswered: number;

  constructor(probes: PathProbes, leastBytes: number, mostBytes: number) {
    this.#probes = probes;
    this.#leastBytes = leastBytes;
    this.#mostBytes = mostBytes;
    this.#forward = { low: leastBytes, high: mostBytes };
    this.#backward = { low: leastBytes, high: undefined };
    this.#largestWhole = leastBytes;
    this.#largestAnswered = leastBytes;
  }

  async run(): Promise<PathMtu> {
    const lost = await this.#searchBothWays();
    if (lost !== undefined) await this.#tellDirections(lost);
    const largestBytes = await this.#searchFragmented();
    await this.#refineBackward();
    const isKnown = !this.#isLossAmbiguous;
    return {
      mtuBytes: this.#largestWhole,
      forward: {
        atLeastBytes: this.#forward.low,
        atMostBytes: isKnown ? this.#forward.high : undefined,
        limit: this.#limit,
        router: this.#router,
      },
      backward: {
        atLeastBytes: this.#backward.low,
        atMostBytes: this.#backward.high,
        isBlackHole: this.#isBackwardBlackHole,
      },
      isLossAmbiguous: this.#isLossAmbiguous,
      largestBytes,
    };
  }

  /**
   * Finds the largest packet that is answered at all. Returns the largest that was lost in silence if that, and not an
   * ICMP error, is what bounds it.
   */
  async #searchBothWays(): Promise<number | undefined> {
    const bounds = this.#forward;
    let largestLost: number | undefined;
    let isBoundSilent = false;
    let hints = 0;
    let next = bounds.high;
    while (bounds.low < bounds.high) {
      const outcome = await this.#whole(next);
      let isHinted = false;
      if (outcome.kind === 'answered') bounds.low = next;
      else {
        bounds.high = next - 1;
        isBoundSilent = outcome.kind === 'silent';
        if (outcome.kind === 'silent') largestLost = Math.max(largestLost ?? 0, next);
        else isHinted = this.#limitBy(outcome, bounds) && ++hints <= mostHints;
      }
      // A router that told its MTU is probably right, and the next probe shows it.
      next = isHinted ? bounds.high : middle(bounds);
    }
    return isBoundSilent ? largestLost : undefined;
  }

  /** Returns whether the sender of an ICMP error told an MTU that can be right, which then is the upper bound. */
  #limitBy({ from, mtuBytes }: TooBig, bounds: Bounds): boolean {
    if (from === undefined) this.#interfaceBytes = mtuBytes;
    this.#limit = from === undefined ? 'interface' : 'router';
    this.#router = from === undefined ? undefined : { address: from, mtuBytes };
    if (mtuBytes < bounds.low || mtuBytes > bounds.high) return false;
    bounds.high = mtuBytes;
    return true;
  }

  /** Finds out whether what is lost in silence, up to `lost` bytes, is lost on the way there or on the way back. */
  async #tellDirections(lost: number): Promise<void> {
    const answered = this.#forward.low;
    const control = await this.#probes.oneWay(this.#leastBytes);
    if (control.kind !== 'answered') {
      this.#isLossAmbiguous = true;
      this.#limit = undefined;
      this.#router = undefined;
      return;
    }
    const bounds = { low: answered, high: lost };
    // Mostly, all of it is lost on one way.
    const guesses = [answered + 1, lost];
    let isSilent = false;
    while (bounds.low < bounds.high) {
      const guess = guesses.pop() ?? bounds.low;
      const next = guess > bounds.low && guess <= bounds.high ? guess : middle(bounds);
      const outcome = await this.#probes.oneWay(next);
      if (outcome.kind === 'answered') bounds.low = next;
      else {
        bounds.high = next - 1;
        isSilent = outcome.kind === 'silent';
        if (outcome.kind === 'too-big') this.#limitBy(outcome, bounds);
      }
    }
    this.#forward = bounds;
    if (isSilent) {
      this.#limit = 'black-hole';
      this.#router = undefined;
    }
    if (bounds.low > answered) {
      this.#isBackwardBlackHole = true;
      this.#backward.high = answered;
    }
  }

  /** Finds the largest packet that comes back if it may travel in fragments. */
  async #searchFragmented(): Promise<number> {
    const bounds = { low: this.#largestAnswered, high: this.#mostBytes };
    // Fragments may all be lost. What fits the interface may leave in one piece, so that is no test for it.
    const guesses = [Math.max(bounds.low, this.#interfaceBytes) + 1, bounds.high];
    while (bounds.low < bounds.high) {
      const next = guesses.pop() ?? middle(bounds);
      const outcome = await this.#fragmented(next);
      if (outcome.kind === 'answered') bounds.low = next;
      else if (guesses.length === 0 && next <= this.#interfaceBytes + 1) return bounds.low;
      else bounds.high = next - 1;
    }
    return bounds.low;
  }

  /** The largest fragment tells the MTU of the way back only to 8 bytes. */
  async #refineBackward(): Promise<void> {
    if (this.#isBackwardBlackHole) return;
    for (;;) {
      const { low, high } = this.#backward;
      const forward = this.#forward.low;
      const isWholeDue = this.#largestWhole < Math.min(low, forward);
      if (high === undefined || (low === high && !isWholeDue)) return;
      const next = isWholeDue ? Math.min(low, forward) : middle({ low, high });
      const outcome = next <= forward ? await this.#whole(next) : await this.#fragmented(next);
      const isCut = outcome.kind === 'answered' && outcome.fragmentBytes !== undefined;
      if (outcome.kind !== 'answered' || (isWholeDue && isCut)) return;
    }
  }

  async #whole(bytes: number): Promise<ProbeOutcome> {
    const outcome = await this.#probes.whole(bytes);
    if (outcome.kind === 'answered' && outcome.fragmentBytes === undefined)
      this.#largestWhole = Math.max(this.#largestWhole, bytes);
    this.#learnBackward(bytes, outcome);
    return outcome;
  }

  async #fragmented(bytes: number): Promise<ProbeOutcome> {
    const outcome = await this.#probes.fragmented(bytes, this.#forward.low);
    this.#learnBackward(bytes, outcome);
    return outcome;
  }

  /** An answer in one piece has the size of its request. One in fragments is cut to fit its way. */
  #learnBackward(bytes: number, outcome: ProbeOutcome): void {
    if (outcome.kind !== 'answered') return;
    this.#largestAnswered = Math.max(this.#largestAnswered, bytes);
    const { fragmentBytes = bytes } = outcome;
    const known = this.#backward;
    known.low = Math.max(known.low, fragmentBytes);
    if (outcome.fragmentBytes === undefined) return;
    const most = Math.min(fragmentBytes + fragmentSlackBytes, bytes - 1);
    known.high = Math.max(known.low, Math.min(known.high ?? most, most));
  }
}

function middle({ low, high }: Readonly<Bounds>): number {
  return Math.ceil((low + high) / 2);
}
