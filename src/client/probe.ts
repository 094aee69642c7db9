import { setMaxListeners } from 'node:events';
import { SmallservdError } from '../errors.ts';
import { readOpenFiles } from '../open-files.ts';
import { type Outcome, outcomes } from '../outcomes.ts';
import type { TlsSession } from './dial/tls.ts';
import { endOf } from './dial/connection.ts';
import { foreverMs, onAbort, pause } from './dial/wait.ts';
import { Latency, type LatencySummary } from './latency.ts';
import { assertWithin, type EitherProtocolOptions, largestDatagramBytes, withDefaults } from './options.ts';
import type { ProbeFinding, ProbeScript } from './probe/attempt.ts';
import { answerText, Expectation } from './probe/expectation.ts';
import { Pace, probeRound, type RoundOptions } from './probe/round.ts';
import { parseProbeTargets, type ProbeTarget, type ProbeTransport } from './probe/targets.ts';

export { answerText, type ProbeTransport, type TlsSession };

/** Each sample has its attempts. */
export interface ProbeOptions extends Omit<EitherProtocolOptions, 'attempts'> {
  /**
   * Sent to each target, which then must answer: at most 64 KiB, over UDP 65,507 bytes, or 65,527 over IPv6. Default:
   * nothing over TCP. Over UDP, what the service of a well-known port answers, or an empty datagram.
   */
  readonly send?: Uint8Array | undefined;
  /**
   * The first 64 KiB of the answer must match this, as UTF-8 or, if it is not UTF-8, with each byte as a character.
   * Over UDP, the first datagram.
   */
  readonly expect?: RegExp | undefined;
  /** Makes a TLS handshake. The certificate must be trusted, unless `isInsecure`. Default false. */
  readonly tls?: boolean | undefined;
  /** Accepts any certificate. Default false. */
  readonly isInsecure?: boolean | undefined;
  /** The server's name in the handshake and the certificate. Default: the host of the target. */
  readonly serverName?: string | undefined;
  /** Rounds in which each target is probed once, at least 1. `Infinity`: until the signal aborts. Default 1. */
  readonly count?: number | undefined;
  /** Milliseconds from the beginning of a round to that of the next, which also waits for its end. Default 1000. */
  readonly intervalMs?: number | undefined;
  /** The most probes in flight: 1 to 1000, or fewer if the limit on open files is low. Default 64. */
  readonly parallel?: number | undefined;
  /** The most probes that start per second, above 0. Default: no limit. */
  readonly perSecond?: number | undefined;
  /** Called for each sample as it comes. */
  readonly observe?: ((sample: ProbeSample) => void) | undefined;
}

/** One probe of one target. */
export interface ProbeSample extends ProbeFinding {
  /** `HOST:PORT`, with `/udp` after a UDP port. */
  readonly target: string;
  readonly host: string;
  readonly port: number;
  readonly transport: ProbeTransport;
  /** Counted from 1. */
  readonly round: number;
}

export interface ProbeResult {
  /**
   * `ok` if every probe was. Otherwise the most frequent of the other outcomes. `interrupted` if the signal left a
   * target without a probe, or a number of rounds incomplete.
   */
  readonly outcome: Outcome;
  /** Number of targets. */
  readonly targets: number;
  /** Number of probes. */
  readonly probes: number;
  /** Number of probes by outcome. */
  readonly counts: Readonly<Partial<Record<Outcome, number>>>;
  /** Times of the probes that were `ok`. Undefined if none was. */
  readonly times: LatencySummary | undefined;
  readonly elapsedMs: number;
  /**
   * The last sample of each target that was probed, in the order of the targets. They have no more than 256 bytes of
   * their answers, since there may be thousands of targets. `observe` is given all.
   */
  readonly latest: readonly ProbeSample[];
}

/**
 * Probes TCP or UDP ports. Each target is `HOST:PORTS` with a list of ports, service names and ranges, such as
 * `server.example:80,443,8000-8010`, and `/tcp` or `/udp` at its end if it differs from `udp` of the options. A TCP
 * probe is `ok` when the connection is made, and a UDP probe when there is an answer. Whatever ends a probe is a
 * sample. Throws `ARGUMENT_INVALID`.
 */
export async function probe(targets: string | readonly string[], options: ProbeOptions = {}): Promise<ProbeResult> {
  const plan = planOf(targets, options);
  const { clock } = plan.settings;
  const beganMs = clock.monotonicMs();
  const counts = new Map<Outcome, number>();
  const times = new Latency();
  const latest: ProbeSample[] = [];
  let probes = 0;
  for await (const [index, sample] of run(plan)) {
    const { outcome, elapsedMs } = sample;
    probes += 1;
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if (outcome === 'ok') times.record(elapsedMs);
    latest[index] = withShortAnswer(sample);
  }
  const wanted = plan.targets.length * (plan.count === Infinity ? 1 : plan.count);
  return {
    outcome: probes < wanted ? 'interrupted' : mostFrequent(counts),
    targets: plan.targets.length,
    probes,
    counts: Object.fromEntries(inOrder(counts)),
    times: times.count === 0 ? undefined : times.summary(),
    elapsedMs: clock.monotonicMs() - beganMs,
    latest: latest.filter((sample) => sample !== undefined),
  };
}

const mostKeptBytes = 256;

/** The sample with a copy of the first 256 bytes of its answer, to be kept for long. */
export function withShortAnswer(sample: ProbeSample): ProbeSample {
  const { answer } = sample;
  return answer === undefined ? sample : { ...sample, answer: new Uint8Array(answer.subarray(0, shortLength(answer))) };
}

/** No character of UTF-8 is cut. */
function shortLength(answer: Uint8Array): number {
  let length = Math.min(answer.length, mostKeptBytes);
  while (length > mostKeptBytes - 4 && ((answer[length] ?? 0) & 0xc0) === 0x80) length -= 1;
  return length;
}

/** The names of all targets, as in samples. Throws `ARGUMENT_INVALID`. */
export function probeTargetNames(targets: readonly string[], isUdp: boolean): readonly string[] {
  return parseProbeTargets(targets, isUdp ? 'udp' : 'tcp').map(({ name }) => name);
}

/** Like `probe`, for runs that go on: yields each sample as it comes, and ends when the signal aborts. */
export function probeSamples(
  targets: string | readonly string[],
  options: ProbeOptions = {},
): AsyncGenerator<ProbeSample, void> {
  const plan = planOf(targets, options);
  return (async function* samples() {
    for await (const [, sample] of run(plan)) yield sample;
  })();
}

interface ProbePlan {
  readonly targets: readonly ProbeTarget[];
  readonly script: ProbeScript;
  readonly count: number;
  readonly intervalMs: number;
  readonly settings: RoundOptions;
  readonly observe: ProbeOptions['observe'];
}

/** The options with defaults applied. Throws `ARGUMENT_INVALID`. */
function planOf(targets: string | readonly string[], options: ProbeOptions): ProbePlan {
  const { send: request, expect, count = 1, intervalMs = 1000, parallel = 64, perSecond = Infinity } = options;
  if (count !== Infinity) assertWithin('the count', count, 1, Number.MAX_SAFE_INTEGER);
  assertWithin('the interval in milliseconds', intervalMs, 1, foreverMs);
  assertWithin('the number of parallel probes', parallel, 1, mostParallel);
  requireThat(perSecond > 0, `the rate is ${perSecond} probes per second: expected above 0`);
  requireThat(
    options.pathControls?.sourcePort === undefined,
    'a source port is for a single connection: probe makes many',
  );
  const { tls = false, isInsecure = false, serverName } = options;
  requireThat(tls || (!isInsecure && serverName === undefined), '--servername and --insecure need --tls');
  const parsed = parseProbeTargets([targets].flat(), options.udp === true ? 'udp' : 'tcp');
  requireThat(parsed.length > 0, 'nothing to probe: expected HOST:PORT');
  const hasDatagrams = parsed.some(({ transport }) => transport === 'udp');
  requireThat(!tls || !hasDatagrams, '--tls needs TCP');
  const most = hasDatagrams ? largestDatagramBytes.ipv6 : mostRequestBytes;
  assertWithin('the number of bytes to send', request?.length ?? 0, 0, most);
  return {
    targets: parsed,
    script: {
      request,
      expectation: expect === undefined ? undefined : new Expectation(expect),
      tls: tls ? { serverName, isInsecure } : undefined,
    },
    count,
    intervalMs,
    settings: { ...withDefaults(options), parallel: withinOpenFiles(parallel), pace: new Pace(perSecond) },
    observe: options.observe,
  };
}

const mostParallel = 1000;
/** Besides the sockets of the probes: a name lookup, pipes of a terminal. */
const otherFiles = 8;

/** How many probes the limit on open files allows of these. Each may try two addresses of a name at the same time. */
function withinOpenFiles(parallel: number): number {
  const files = readOpenFiles();
  if (files === undefined) return parallel;
  return Math.max(1, Math.min(parallel, Math.floor((files.limit - files.open - otherFiles) / 2)));
}
const mostRequestBytes = 65_536;

function requireThat(holds: boolean, message: string): void {
  if (!holds) throw new SmallservdError('ARGUMENT_INVALID', message);
}

/** Ends when the signal aborts. */
async function* run({
  targets,
  script,
  count,
  intervalMs,
  settings,
  observe,
}: ProbePlan): AsyncGenerator<readonly [index: number, sample: ProbeSample], void> {
  const { clock } = settings;
  const over = new AbortController();
  // Each probe in flight listens, and no other.
  setMaxListeners(0, over.signal);
  const stopListening = onAbort(settings.signal, () => over.abort());
  if (settings.signal?.aborted === true) over.abort();
  const ownSettings = { ...settings, signal: over.signal };
  try {
    for (let round = 1; ; round += 1) {
      const beganMs = clock.monotonicMs();
      for await (const [index, finding] of probeRound(targets, script, ownSettings)) {
        const { name: target, host, port, transport } = targets[index] as ProbeTarget;
        const sample = { target, host, port, transport, round, ...finding };
        observe?.(sample);
        yield [index, sample];
      }
      if (round === count) return;
      await pause(ownSettings, Math.max(0, beganMs + intervalMs - clock.monotonicMs()));
    }
  } catch (error) {
    if (endOf(error) !== 'interrupted') throw error;
  } finally {
    stopListening();
    over.abort();
  }
}

/** `ok` if nothing else was. Of equally frequent ones, the first in the list of outcomes. */
function mostFrequent(counts: ReadonlyMap<Outcome, number>): Outcome {
  const [worst] = inOrder(counts)
    .filter(([outcome]) => outcome !== 'ok')
    .toSorted(([, one], [, other]) => other - one);
  return worst?.[0] ?? 'ok';
}

function inOrder(counts: ReadonlyMap<Outcome, number>): readonly (readonly [Outcome, number])[] {
  return (Object.keys(outcomes) as Outcome[]).flatMap((outcome) => {
    const count = counts.get(outcome);
    return count === undefined ? [] : [[outcome, count] as const];
  });
}
