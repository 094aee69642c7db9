import * as v from 'valibot';
import { newServiceCounters, type ServiceCounters } from '../counters.ts';
import { customCounterHelp, customCounterName, maxCustomCounters } from '../custom-counters.ts';
import { sourceText } from '../guard/source-prefix.ts';
import type { ChannelLimits } from './channel.ts';
import { type ErrorCode, errorCodes, type SmallservdError } from '../../errors.ts';

/** What a worker reports to its supervisor. A worker serves strangers, so every report is validated before use. */
export type WorkerReport = v.InferOutput<ReturnType<typeof workerReports>>;

/** Of a report of any kind but a heartbeat: an error message is the largest. */
const otherReportBytes = 512 * 1024;

/** What a heartbeat says of a service is not larger. */
const heartbeatBytesOfService = 16 * 1024;

/**
 * A worker reports once a second, and a few times more at its start and its end. Its supervisor may be slow or stopped
 * for a while. Then it finds what the socket between them holds: fewer than 200 reports, unless net.core.wmem_default
 * is raised.
 */
const reportsAtOnce = 200;
const reportsPerSecond = 2;

/** Each is parsed and checked, and a worker must not keep its supervisor busy. Reports are much smaller usually. */
const largestReportsAtOnce = 3;

/** Limits on what a worker that serves this number of services may report. */
export function reportLimitsFor(services: number): ChannelLimits {
  const heartbeatBytes = (services + 1) * heartbeatBytesOfService;
  const maxMessageBytes = otherReportBytes + services * heartbeatBytesOfService;
  return {
    maxMessageBytes,
    messages: { burst: reportsAtOnce, perSecond: reportsPerSecond },
    bytes: { burst: largestReportsAtOnce * maxMessageBytes, perSecond: reportsPerSecond * heartbeatBytes },
  };
}

/** Reads a message from another process. For an invalid one, returns the field and what was expected. */
export function readReport<Report>(
  schema: v.GenericSchema<unknown, Report>,
  message: unknown,
): { readonly report: Report } | { readonly fault: string } {
  const result = v.safeParse(schema, message, { abortEarly: true });
  if (result.success) return { report: result.output };
  const [{ expected, message: explanation }] = result.issues;
  const field = v.getDotPath(result.issues[0]) ?? 'the report';
  return { fault: `${field.slice(0, 200)}: expected ${expected ?? explanation}` };
}

/** The schema for reports of a worker that serves `services`, with at most `sources` sources each. */
export function workerReports(services: readonly string[], sources: number) {
  const names = new Set(services);
  const service = v.pipe(
    v.string(),
    v.check((name) => names.has(name), 'a service in the config'),
  );
  const ofEachService = <Value extends v.GenericSchema>(value: Value) =>
    v.pipe(v.array(v.strictTuple([service, value])), v.maxLength(services.length), v.readonly());
  return v.variant('type', [
    /** The code is loaded, and `start` may follow. */
    v.strictObject({ type: v.literal('loaded') }),
    /** After an order to stop, its listeners are closed and its clients are finishing. */
    v.strictObject({ type: v.literal('suspended') }),
    v.strictObject({ type: v.literal('ready') }),
    v.strictObject({
      type: v.literal('heartbeat'),
      counters: ofEachService(counters),
      topSources: ofEachService(v.pipe(v.array(sourceCount), v.maxLength(sources), v.readonly())),
      offenders: ofEachService(v.strictObject({ refused: refusedOffenders, dropped: droppedOffenders })),
      health: v.strictObject({
        lagMs: amount,
        residentBytes: amount,
        heapBytes: amount,
        cpuMs: amount,
        cpuSystemMs: amount,
        upMs: amount,
      }),
      /** Log lines lost in the worker since the last heartbeat. */
      lostLines: v.pipe(count, v.maxValue(mostLostLines)),
    }),
    /** It exits right after. */
    v.strictObject({ type: v.literal('failed'), code: errorCode, message: explanation }),
  ]);
}

const amount = v.pipe(v.number(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

const count = v.pipe(amount, v.integer());

/** Of one report, which comes every second. A sum of larger numbers would soon no longer be exact. */
export const mostLostLines = 1_000_000;

export const errorCode = v.picklist(Object.keys(errorCodes) as ErrorCode[]);

/** Maximum length of an error message: an invalid config has one line per problem. Senders cut longer messages. */
const maxExplanationLength = 65_536;

/** Returns what a report says about an error. */
export function explain({ code, message }: SmallservdError): Pick<SmallservdError, 'code' | 'message'> {
  return { code, message: message.slice(0, maxExplanationLength) };
}

export const explanation = v.pipe(v.string(), v.maxLength(maxExplanationLength));

// The supervisor repeats them once a second to whoever asks, who limits the size of the answer.
const source = v.pipe(
  v.string(),
  v.check((text) => sourceText.test(text), 'an address, a UNIX user or a port'),
);

const sourceCount = v.strictObject({ source, connections: count });

/** The schema for who was turned away: at most one for each reason that is counted. */
function offendersFor(counted: object) {
  const reasons = Object.keys(counted);
  return v.pipe(
    v.array(v.strictObject({ reason: v.picklist(reasons), source, count })),
    v.maxLength(reasons.length),
    v.check(
      (offenders) => new Set(offenders.map(({ reason }) => reason)).size === offenders.length,
      'each reason once',
    ),
    v.readonly(),
  );
}

const custom = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(customCounterName)),
    v.strictObject({ help: v.pipe(v.string(), v.regex(customCounterHelp)), count }),
  ),
  v.maxEntries(maxCustomCounters),
);

const { stream, datagram, handlerTime } = newServiceCounters();

const refusedOffenders = offendersFor(stream.refused);
const droppedOffenders = offendersFor(datagram.dropped);

const counters = v.strictObject({
  stream: countersLike(stream),
  datagram: countersLike(datagram),
  handlerTime: countersLike(handlerTime),
  custom,
}) as v.GenericSchema as v.GenericSchema<ServiceCounters>;

/** Returns a schema with the keys or the length of `model`, and counts for its numbers. */
function countersLike(model: object): v.GenericSchema {
  if (Array.isArray(model)) return v.pipe(v.array(count), v.length(model.length));
  const entries = Object.entries(model) as [string, number | object][];
  return v.strictObject(
    Object.fromEntries(
      entries.map(([key, value]) => [key, typeof value === 'number' ? count : countersLike(value)] as const),
    ),
  );
}
