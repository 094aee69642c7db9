import { wireSize } from '../../wire-size.ts';
import { pause } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import { describeBytes } from './bytes.ts';
import { type Check, type CheckContext, type CheckedService, checksOf, Fault, Skip } from './check.ts';
import { askFor, betweenDatagramsMs, Inbox } from './datagrams.ts';

const burstLength = 30;
/** Bursts to send, because a server that drops datagrams while it answers may keep up with a single burst. */
const bursts = 5;
const empty = Buffer.alloc(0);

/** Datagrams that a service answers. */
export interface Requests {
  /** No two are alike. */
  readonly numbered: (number: number) => Uint8Array;
  /** The shortest ones, whose answers are the largest by comparison. */
  readonly shortest: readonly Uint8Array[];
  readonly long: Uint8Array;
}

/** Those that all classic services answer. */
const texts: Requests = {
  numbered: (number) => Buffer.from(`smallserv conform ${number}\r\n`),
  shortest: [empty, Buffer.from('\n')],
  long: Buffer.alloc(512, '\n'),
};

/**
 * Checks shared by all services that answer any datagram. `maxAmplification` limits the size of an answer relative to
 * the request, both measured on the wire.
 */
export function answeringChecks(service: CheckedService, maxAmplification: 1 | 2): readonly Check[] {
  const { numbered } = texts;
  return [
    ...checksOf(service, 'udp', [
      {
        name: 'empty',
        fact: 'an empty datagram is answered',
        async run(context) {
          await askFor(context, empty);
        },
      },
      {
        name: 'any',
        fact: 'a datagram with text is answered',
        async run(context) {
          await askFor(context, numbered(0));
        },
      },
    ]),
    ...safetyChecks(service, maxAmplification, texts),
  ];
}

/** The checks of `answeringChecks` that concern the safety of others, for a service that answers these `requests`. */
export function safetyChecks(service: CheckedService, maxAmplification: 1 | 2, requests: Requests): readonly Check[] {
  return checksOf(service, 'udp', [
    {
      name: 'burst',
      basis: 'safety',
      fact: `every datagram in a burst of ${burstLength} is answered, in each of ${bursts} bursts`,
      async run(context) {
        for (let turn = 0; turn < bursts; turn += 1) {
          const count = await Inbox.with(context, async (inbox) => {
            const burst = Array.from({ length: burstLength }, (_, number) => requests.numbered(number));
            await Promise.all(burst.map(async (each) => inbox.send(each)));
            const { length } = await inbox.collect(burstLength);
            return length < burstLength ? (await collectLate(context, inbox, requests)).length : length;
          });
          if (count < burstLength) throw new Fault(`${burstLength} answers`, String(count));
        }
      },
    },
    {
      name: 'amplification',
      basis: 'safety',
      fact: `the answer is at most ${maxAmplification === 1 ? 'as large as' : 'twice as large as'} the request, on the wire`,
      run: async (context) => expectNoAmplification(context, maxAmplification, requests),
    },
    {
      name: 'source-port-low',
      basis: 'safety',
      fact: 'a datagram from a port below 1024 is not answered',
      run: async (context) => expectSilence(context, context.dangerousPorts.low, requests),
    },
    {
      name: 'source-port-reflector',
      basis: 'safety',
      fact: 'a datagram from a known reflector port, or the port of any checked service, is not answered',
      run: async (context) => expectSilence(context, context.dangerousPorts.reflectors, requests),
    },
  ]);
}

/**
 * All replies, collected until a later request is answered, which proves that the server had time. GNU inetd sleeps for
 * a second if the process that served a TCP client exits while it waits for the next one.
 */
async function collectLate(context: CheckContext, inbox: Inbox, requests: Requests): Promise<readonly Uint8Array[]> {
  await askFor(context, requests.numbered(0)).catch(throwUnlessSilent);
  return inbox.quiet();
}

/** A server that has fallen silent has had its time too. */
function throwUnlessSilent(error: unknown): void {
  if (!(error instanceof SmallservdError) || error.code !== 'NO_ANSWER') throw error;
}

/** Answers vary in length, so the largest of this many counts. */
const amplificationRequests = 4;

async function expectNoAmplification(context: CheckContext, most: number, requests: Requests): Promise<string> {
  const { shortest, long } = requests;
  const repeated = shortest.flatMap((each) => Array<Uint8Array>(amplificationRequests).fill(each));
  let later: Promise<unknown> | undefined;
  const seen = await Promise.all(
    repeated.map(async (each) =>
      Inbox.with(context, async (inbox) => {
        await inbox.send(each);
        // As in collectLate. Servers that never send more than they received still answer a long request.
        later ??= askFor(context, long).catch(throwUnlessSilent);
        await later;
        return { request: each, replies: await inbox.quiet() };
      }),
    ),
  );
  const isV4 = context.address.family === 'ipv4';
  const measured = seen.map(({ request: { length }, replies }) => {
    const requestBytes = wireSize(length, isV4);
    const replyBytes = replies.reduce((sum, reply) => sum + wireSize(reply.length, isV4), 0);
    const words = `${replyBytes} bytes on the wire for ${requestBytes}`;
    return { factor: replyBytes / requestBytes, words, bytes: Buffer.concat(replies) };
  });
  const worst = measured.reduce((one, other) => (other.factor > one.factor ? other : one));
  const said = `a factor of ${worst.factor.toFixed(2)}: ${worst.words}`;
  if (worst.factor <= most) return said;
  throw new Fault(`a factor of at most ${most}`, `${said}: ${describeBytes(worst.bytes)}`, worst.bytes);
}

/** Sends a datagram from each of these local ports that can be bound. Throws `Skip` if none can. */
async function expectSilence(context: CheckContext, ports: readonly number[], requests: Requests): Promise<string> {
  const inboxes = new Map<number, Inbox>();
  const reasons = new Set<string>();
  try {
    for (const port of ports) {
      try {
        inboxes.set(port, await Inbox.open(context, port));
      } catch (error) {
        reasons.add(whyNot(error));
      }
    }
    if (inboxes.size === 0)
      throw new Skip(`cannot send from any of the ports ${ports.join(', ')}: ${[...reasons].join(', ')}`);
    return await compareAnswers(context, inboxes, requests);
  } finally {
    for (const inbox of inboxes.values()) inbox.close();
  }
}

async function compareAnswers(
  context: CheckContext,
  inboxes: ReadonlyMap<number, Inbox>,
  { numbered }: Requests,
): Promise<string> {
  for (const [port, inbox] of inboxes) {
    // A firewall rejecting the datagram also counts as silence.
    await inbox.send(numbered(port)).catch(() => {});
    await pause(context, betweenDatagramsMs);
  }
  // An answer to a later request shows that the server had time to answer.
  await askFor(context, numbered(0));
  await Promise.all([...inboxes.values()].map(async (inbox) => inbox.quiet().catch(() => {})));
  if (context.signal.aborted) throw new SmallservdError('INTERRUPTED', 'interrupted');
  const answered = [...inboxes].filter(([, { replies }]) => replies.length > 0);
  const bytes = answered[0]?.[1].replies[0];
  if (bytes === undefined) return `silent to ${listPorts(inboxes)}`;
  throw new Fault('silence', `an answer to ${listPorts(answered)}: ${describeBytes(bytes)}`, bytes);
}

function listPorts(inboxes: Iterable<readonly [number, Inbox]>): string {
  const ports = Array.from(inboxes, ([port]) => port);
  return `${ports.length === 1 ? 'port' : 'ports'} ${ports.join(', ')}`;
}

/** Why a port cannot be bound. Rethrows errors with any other cause. */
function whyNot(error: unknown): string {
  if (!(error instanceof SmallservdError) || error.code !== 'CONNECT_FAILED') throw error;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return { EACCES: 'not permitted', EPERM: 'not permitted', EADDRINUSE: 'in use' }[code ?? ''] ?? error.message;
}
