import { formatHostPort } from '../../address/host-port.ts';
import { systemClock } from '../../clock/clock.ts';
import { ask } from '../dial/ask.ts';
import { type Attempt, Attempts } from '../dial/attempts.ts';
import { type ConnectOptions, connect } from '../dial/connect.ts';
import { Connection, type Endpoint } from '../dial/connection.ts';
import { startTls, type TlsSession } from '../dial/tls.ts';
import { SmallservdError } from '../../errors.ts';
import type { Outcome } from '../../outcomes.ts';
import { datagramRequest } from './datagram-request.ts';
import { type Expectation, mostAnswerBytes } from './expectation.ts';
import type { ProbeTarget } from './targets.ts';

/** What a probe does besides connecting. */
export interface ProbeScript {
  /** Undefined sends nothing over TCP, and over UDP what the service of the port answers. */
  readonly request: Uint8Array | undefined;
  readonly expectation: Expectation | undefined;
  readonly tls: { readonly serverName: string | undefined; readonly isInsecure: boolean } | undefined;
}

/** How one probe of a target ended. */
export interface ProbeFinding {
  readonly outcome: Outcome;
  /** When it began. */
  readonly time: Date;
  /** From the name lookup to the outcome. */
  readonly elapsedMs: number;
  /** What the outcome means here. Undefined if it is `ok`. */
  readonly error: string | undefined;
  /** The addresses tried, in that order. */
  readonly addresses: readonly Attempt[];
  /** Who answered. Undefined if nobody did. */
  readonly peer: Endpoint | undefined;
  readonly tls: TlsSession | undefined;
  /** The first bytes of the answer, at most 64 KiB. Undefined if none was waited for, or none came. */
  readonly answer: Uint8Array | undefined;
}

/** What is known of an attempt before it ends. */
interface Progress {
  peer?: Endpoint;
  tls?: TlsSession;
  answer?: Uint8Array;
}

/** Probes a target once. Rejects with `INTERRUPTED` alone: every other end is a finding. */
export async function probeOnce(
  target: ProbeTarget,
  script: ProbeScript,
  options: ConnectOptions,
): Promise<ProbeFinding> {
  const { clock = systemClock } = options;
  const sinceMs = clock.monotonicMs();
  const time = clock.now();
  const progress: Progress = {};
  const attempts = new Attempts(clock);
  const found = (outcome: Outcome, error?: string): ProbeFinding => ({
    outcome,
    time,
    elapsedMs: clock.monotonicMs() - sinceMs,
    error,
    addresses: attempts.list(outcome),
    peer: progress.peer,
    tls: progress.tls,
    answer: progress.answer,
  });
  try {
    await (target.transport === 'udp' ? askOnce : connectOnce)(
      target,
      script,
      { ...options, attempts, sinceMs },
      progress,
    );
    return found('ok');
  } catch (error) {
    if (!(error instanceof SmallservdError)) throw error;
    if (error.code === 'INTERRUPTED') throw error;
    return found(error.outcome, error.message);
  }
}

type Script = (target: ProbeTarget, script: ProbeScript, options: ConnectOptions, progress: Progress) => Promise<void>;

const askOnce: Script = async (target, { request, expectation }, options, progress) => {
  const answer = await ask(target, (attempt) => request ?? datagramRequest(target.port, attempt), options).catch(
    (error: unknown) => {
      if (!(error instanceof SmallservdError) || error.code !== 'NO_ANSWER') throw error;
      throw new SmallservdError('NO_ANSWER', `${error.message} (open or filtered)`, { cause: error });
    },
  );
  progress.peer = answer.peer;
  progress.answer = answer.bytes;
  if (expectation?.isMetBy(answer.bytes) === false) throw mismatch(answer.peer, answer.bytes);
};

const connectOnce: Script = async (target, { request, expectation, tls }, options, progress) => {
  let socket = await connect(target, options);
  progress.peer = { address: socket.remoteAddress ?? '', port: target.port };
  try {
    if (tls !== undefined) {
      const secured = await startTls(socket, tls.serverName ?? target.host, options);
      ({ socket } = secured);
      progress.tls = secured.session;
      const { distrust } = secured.session;
      if (distrust !== undefined && !tls.isInsecure) throw new SmallservdError('ANSWER_WRONG', `TLS: ${distrust}`);
    }
    if (request === undefined && expectation === undefined) return;
    const connection = Connection.over(socket, options);
    if (request !== undefined) await connection.write(request);
    await awaitAnswer(connection, expectation, progress);
  } finally {
    socket.on('error', () => {}).destroy();
  }
};

/** Reads until the answer is as expected: without an expectation, until there is one. */
async function awaitAnswer(
  connection: Connection,
  expectation: Expectation | undefined,
  progress: Progress,
): Promise<void> {
  let answer = Buffer.alloc(0);
  const { peer } = connection;
  try {
    while (answer.length < mostAnswerBytes) {
      const bytes = await connection.read();
      if (bytes === undefined) break;
      answer = Buffer.concat([answer, bytes]).subarray(0, mostAnswerBytes);
      progress.answer = answer;
      if (expectation?.isMetBy(answer) !== false) return;
    }
  } catch (error) {
    // What came before the silence or the reset was not as expected.
    const isEnd = error instanceof SmallservdError && ['NO_ANSWER', 'CONNECTION_LOST'].includes(error.code);
    if (!isEnd || answer.length === 0) throw error;
  }
  if (answer.length > 0) throw mismatch(peer, answer);
  const message = `${formatHostPort(peer.address, peer.port)}: closed without an answer`;
  throw new SmallservdError('CONNECTION_LOST', message);
}

function mismatch({ address, port }: Endpoint, answer: Uint8Array): SmallservdError {
  const size = answer.length === 1 ? '1 byte' : `${answer.length} bytes`;
  const message = `${formatHostPort(address, port)}: no match in ${size}`;
  return new SmallservdError('ANSWER_WRONG', message);
}
