import { formatIp } from '../../address/ip-address.ts';
import type { IcmpReport } from '../../kernel/error-queue.ts';
import { interfaceNameOf } from '../../kernel/sockets.ts';
import { errorCodeOf } from '../../kernel/system-error.ts';
import type { Outcome } from '../../outcomes.ts';

type IcmpMessage = Pick<IcmpReport, 'version' | 'type' | 'code'>;

/** What an ICMP message says of the packet that it is about. */
interface Meaning {
  readonly outcome: Outcome;
  readonly words: string;
}

const unreachable = (words: string): Meaning => ({ outcome: 'unreachable', words });
const refused = (words: string): Meaning => ({ outcome: 'refused', words });
const prohibited = (words: string): Meaning => ({ outcome: 'prohibited', words });
const tooBig: Meaning = { outcome: 'too-big', words: 'too big for the path' };

/** By code: RFC 792, RFC 1122 section 3.2.2.1 and RFC 1812 section 5.2.7.1. */
const unreachable4: readonly Meaning[] = [
  unreachable('network unreachable'),
  unreachable('host unreachable'),
  refused('protocol unreachable'),
  refused('port unreachable'),
  tooBig,
  unreachable('source route failed'),
  unreachable('network unknown'),
  unreachable('host unknown'),
  unreachable('source host isolated'),
  prohibited('network prohibited'),
  prohibited('host prohibited'),
  unreachable('network unreachable for this type of service'),
  unreachable('host unreachable for this type of service'),
  prohibited('administratively prohibited'),
  prohibited('precedence violation'),
  prohibited('precedence cutoff'),
];

/** By code: RFC 4443 section 3.1, which calls codes 5 and 6 subsets of code 1. */
const unreachable6: readonly Meaning[] = [
  unreachable('no route'),
  prohibited('administratively prohibited'),
  unreachable('beyond the scope of the source address'),
  unreachable('address unreachable'),
  refused('port unreachable'),
  prohibited('source address failed policy'),
  prohibited('route rejected'),
];

/** The numbers of the types: RFC 792, RFC 4443. */
const types = {
  icmp: { unreachable: 3, tooBig: undefined, timeExceeded: 11, parameterProblem: 12 },
  icmp6: { unreachable: 1, tooBig: 2, timeExceeded: 3, parameterProblem: 4 },
} as const;

/** How an attempt that this message answers has ended. */
export function icmpOutcome(message: IcmpMessage): Outcome {
  return meaningOf(message).outcome;
}

function meaningOf({ version, type, code }: IcmpMessage): Meaning {
  const numbers = types[version];
  if (type === numbers.unreachable) {
    const known = (version === 'icmp' ? unreachable4 : unreachable6)[code];
    return known ?? unreachable(`destination unreachable, code ${code}`);
  }
  if (type === numbers.tooBig) return tooBig;
  if (type === numbers.timeExceeded) return unreachable(code === 0 ? 'time to live exceeded' : 'reassembly timed out');
  return unreachable(type === numbers.parameterProblem ? 'parameter problem' : `ICMP type ${type}, code ${code}`);
}

/** An ICMP message about a packet of ours, as an error with the code that the kernel derives from it. */
export class IcmpError extends Error {
  override readonly name = 'IcmpError';
  /** `ECONNREFUSED` and the like. */
  readonly code: string;
  readonly outcome: Outcome;
  /** What it says, in a few words without the address of its sender. */
  readonly words: string;
  readonly #quoted: Uint8Array;

  constructor(report: IcmpReport) {
    const { outcome, words } = meaningOf(report);
    super(describe(outcome, words, report));
    this.code = errorCodeOf(report.errno);
    this.outcome = outcome;
    this.words = words;
    this.#quoted = report.quoted;
  }

  /** Whether it can be about this payload, as far as it quotes it. */
  isAbout(payload: Uint8Array): boolean {
    const { length } = this.#quoted;
    return length <= payload.length && Buffer.compare(this.#quoted, payload.subarray(0, length)) === 0;
  }
}

/** `refused by 192.0.2.9 (port unreachable)`. */
function describe(outcome: Outcome, words: string, { from, mtu }: IcmpReport): string {
  const sender = from === undefined ? 'an unknown router' : formatIp(from) + zoneOf(from.zone);
  if (outcome === 'refused' || outcome === 'prohibited') return `${outcome} by ${sender} (${words})`;
  return `${words}, says ${sender}${outcome === 'too-big' && mtu > 0 ? `: its MTU is ${mtu} bytes` : ''}`;
}

function zoneOf(zone: number | undefined): string {
  return zone === undefined || zone === 0 ? '' : `%${interfaceNameOf(zone)}`;
}
