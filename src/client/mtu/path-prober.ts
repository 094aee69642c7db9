import { randomBytes } from 'node:crypto';
import { formatHostPort } from '../../address/host-port.ts';
import { formatIp, parseIp } from '../../address/ip-address.ts';
import type { Clock } from '../../clock/clock.ts';
import { IcmpError, icmpOutcome } from '../dial/icmp-error.ts';
import { describeNetworkError, outcomeOf } from '../dial/network-error.ts';
import { type ProbeMode, ProbeSocket } from '../dial/probe-socket.ts';
import type { HostAddress } from '../dial/resolve-host.ts';
import { comesWithin } from '../dial/wait.ts';
import { SmallservdError } from '../../errors.ts';
import { decodeIcmp, encodeEchoRequest, icmpHeaderBytes } from '../icmp.ts';
import type { IcmpReport } from '../../kernel/error-queue.ts';
import type { PathControls } from '../options.ts';
import type { PathProbes, ProbeOutcome } from './path-mtu.ts';

const ipHeaderBytes = { ipv4: 20, ipv6: 40 } as const;
/** Of UDP and of an ICMP echo request alike. */
const transportHeaderBytes = 8;
/** Each probe starts with a number of its own, so that an answer is that to one probe. */
const tokenBytes = 8;

/** The type of an ICMPv6 echo request, and where its checksum ends (RFC 4443 section 4.1). No token starts like it. */
const echoRequest6 = 128;
const checksumEnd = 4;

/** The shortest wait for an answer, for a machine that is busy. */
const leastWaitMs = 250;
/** Hosts limit how many ICMP errors they send: Linux one a second after the first six. */
const leastErrorWaitMs = 1000;
const roundTripsToWait = 4;

/** Headers of a probe over this family. */
export function probeHeaderBytes(family: HostAddress['family']): number {
  return ipHeaderBytes[family] + transportHeaderBytes;
}

/** The shortest probe, and the largest IP packet: of IPv6 without jumbograms. */
export function probeBounds(family: HostAddress['family']): {
  readonly leastBytes: number;
  readonly mostBytes: number;
} {
  return {
    leastBytes: probeHeaderBytes(family) + tokenBytes,
    mostBytes: 65_535 + (family === 'ipv6' ? ipHeaderBytes.ipv6 : 0),
  };
}

export interface ProberSettings {
  /** The port of a UDP echo service, or undefined for ICMP echo. */
  readonly echoPort: number | undefined;
  /** A UDP port on which nothing listens. */
  readonly closedPort: number;
  readonly tries: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly pathControls?: PathControls | undefined;
  /** Called for each packet, before it is sent. */
  readonly sent: (bytes: number) => void;
}

/** What has come back for one probe. */
interface Waiting {
  /** What each try has sent. */
  readonly sent: Uint8Array[];
  outcome: ProbeOutcome | undefined;
  /** Ends the wait. */
  arrived: () => void;
}

/** Sends probes of exact sizes to a host, each several times, until something comes back. */
export class PathProber implements PathProbes {
  readonly #address: HostAddress;
  readonly #settings: ProberSettings;
  readonly #echo: ProbeSocket;
  readonly #closed: ProbeSocket;
  readonly #token = makeToken();
  readonly #identifier = this.#token.readUInt16BE();
  #waiting: Waiting | undefined;
  #error: SmallservdError | undefined;
  #probes = 0;
  /** The shortest round trip. Others may have waited for a busy machine. */
  #shortestMs: number | undefined;

  /** Throws an error with the system's code. */
  constructor(address: HostAddress, settings: ProberSettings) {
    this.#address = address;
    this.#settings = settings;
    const { echoPort, closedPort, pathControls = {} } = settings;
    this.#echo = new ProbeSocket(address, echoPort, pathControls, {
      answer: (bytes, fragmentBytes) => this.#answered(bytes, fragmentBytes),
      error: (report) => this.#echoFailed(report),
    });
    try {
      this.#closed = new ProbeSocket(
        address,
        closedPort,
        { ...pathControls, sourcePort: undefined },
        {
          answer: () => {},
          error: (report) => this.#closedFailed(report),
        },
      );
    } catch (error) {
      this.#echo.close();
      throw error;
    }
  }

  /** The echo service, for messages. */
  get name(): string {
    const { address } = this.#address;
    const { echoPort } = this.#settings;
    return echoPort === undefined ? address : `${formatHostPort(address, echoPort)} over UDP`;
  }

  close(): void {
    this.#echo.close();
    this.#closed.close();
  }

  /** Throws `CONNECT_FAILED` if an ICMP error says that nobody is there. */
  async whole(bytes: number): Promise<ProbeOutcome> {
    return this.#probe(this.#echo, bytes, 'whole');
  }

  async fragmented(bytes: number, pathMtuBytes: number): Promise<ProbeOutcome> {
    return this.#probe(this.#echo, bytes, { pathMtuBytes });
  }

  async oneWay(bytes: number): Promise<ProbeOutcome> {
    return this.#probe(this.#closed, bytes, 'whole');
  }

  async #probe(socket: ProbeSocket, bytes: number, mode: ProbeMode): Promise<ProbeOutcome> {
    const { clock, tries, signal } = this.#settings;
    const beganMs = clock.monotonicMs();
    const waiting: Waiting = { sent: [], outcome: undefined, arrived: () => {} };
    this.#waiting = waiting;
    for (let count = 0; count < tries && waiting.outcome === undefined; count += 1) {
      const packet = this.#make(socket, bytes);
      waiting.sent.push(packet);
      this.#settings.sent(bytes);
      const mtuBytes = this.#send(socket, packet, mode);
      if (mtuBytes !== undefined) waiting.outcome = { kind: 'too-big', from: undefined, mtuBytes };
      else
        await comesWithin({ clock, signal }, this.#waitMs(socket), (resolve) => {
          waiting.arrived = resolve;
          return () => {};
        });
      if (this.#error !== undefined) throw this.#error;
    }
    this.#waiting = undefined;
    if (waiting.outcome?.kind === 'answered')
      this.#shortestMs = Math.min(this.#shortestMs ?? Infinity, clock.monotonicMs() - beganMs);
    return waiting.outcome ?? { kind: 'silent' };
  }

  /**
   * Until the first answer, nobody knows how long the path is. All tries together wait for the timeout at most, unless
   * it is shorter than hosts may need for an ICMP error.
   */
  #waitMs(socket: ProbeSocket): number {
    const { timeoutMs, tries } = this.#settings;
    const mostMs = Math.ceil(timeoutMs / tries);
    if (this.#shortestMs === undefined) return mostMs;
    const leastMs = socket === this.#closed ? leastErrorWaitMs : leastWaitMs;
    return Math.max(Math.min(timeoutMs, leastMs), Math.min(mostMs, roundTripsToWait * this.#shortestMs));
  }

  #make(socket: ProbeSocket, bytes: number): Uint8Array {
    const data = Buffer.alloc(bytes - probeHeaderBytes(this.#address.family), 'smallserv mtu ');
    this.#probes += 1;
    this.#token.copy(data);
    data.writeUInt32BE(this.#probes, tokenBytes / 2);
    if (socket === this.#closed || this.#settings.echoPort !== undefined) return data;
    const numbers = { identifier: this.#identifier, sequence: this.#probes & 0xffff };
    return encodeEchoRequest(this.#address.family, { ...numbers, data });
  }

  #send(socket: ProbeSocket, packet: Uint8Array, mode: ProbeMode): number | undefined {
    try {
      return socket.send(packet, mode);
    } catch (cause) {
      const message = `cannot send to ${this.name}: ${describeNetworkError(cause, this.#address.address)}`;
      throw new SmallservdError('CONNECT_FAILED', message, { cause, outcome: outcomeOf(cause) });
    }
  }

  #answered(bytes: Uint8Array, fragmentBytes: number | undefined): void {
    const waiting = this.#waiting;
    const answer = this.#dataOf(bytes);
    if (waiting === undefined || answer === undefined) return;
    const isUdp = this.#settings.echoPort !== undefined;
    const isRight = waiting.sent.some((sent) => isEqual(isUdp ? sent : sent.subarray(icmpHeaderBytes), answer));
    if (isRight) this.#settle({ kind: 'answered', fragmentBytes });
    // Nothing has been answered so far: it may be no echo service.
    else if (this.#shortestMs === undefined && isUdp) this.#fail(this.#notEcho());
  }

  #dataOf(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#settings.echoPort !== undefined) return bytes;
    const message = decodeIcmp(this.#address.family, bytes);
    const isOurs = message?.kind === 'reply' && message.isIntact && message.identifier === this.#identifier;
    return isOurs ? message.data : undefined;
  }

  #notEcho(): SmallservdError {
    return new SmallservdError('ANSWER_WRONG', `${this.name} sends back other bytes: not an echo service`);
  }

  #echoFailed(report: IcmpReport): void {
    if (this.#tooBig(report) || this.#shortestMs !== undefined) return;
    const error = new IcmpError(report);
    const message = `cannot reach ${this.name}: ${error.message}`;
    this.#fail(new SmallservdError('CONNECT_FAILED', message, { cause: error, outcome: error.outcome }));
  }

  #closedFailed(report: IcmpReport): void {
    if (this.#tooBig(report)) return;
    const from = report.from === undefined ? undefined : formatIp(report.from);
    const host = parseIp(this.#address.address.replace(/%.*$/, ''));
    const isHost = host !== undefined && from === formatIp(host);
    if (icmpOutcome(report) === 'refused' && isHost && this.#isAboutProbe(report))
      this.#settle({ kind: 'answered', fragmentBytes: undefined });
  }

  #tooBig(report: IcmpReport): boolean {
    if (icmpOutcome(report) !== 'too-big') return false;
    const from = report.from === undefined ? 'an unknown router' : formatIp(report.from);
    if (this.#isAboutProbe(report)) this.#settle({ kind: 'too-big', from, mtuBytes: report.mtu });
    return true;
  }

  /** As far as the error quotes it. Not about an earlier, larger probe. */
  #isAboutProbe({ quoted }: IcmpReport): boolean {
    const sent = this.#waiting?.sent ?? [];
    // The kernel has filled in the checksum of ICMPv6.
    const start = sent.some((each) => each[0] === echoRequest6) ? checksumEnd : 0;
    return sent.some((each) => isEqual(each.subarray(start, quoted.length), quoted.subarray(start)));
  }

  #settle(outcome: ProbeOutcome): void {
    if (this.#waiting === undefined) return;
    this.#waiting.outcome ??= outcome;
    this.#waiting.arrived();
  }

  #fail(error: SmallservdError): void {
    this.#error ??= error;
    this.#waiting?.arrived();
  }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function makeToken(): Buffer {
  const token = randomBytes(tokenBytes);
  token.writeUInt8((token[0] ?? 0) & 0x7f);
  return token;
}
