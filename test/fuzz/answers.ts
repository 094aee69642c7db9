import { transportsOf } from '../support/transports.ts';
import { chargenByte } from '../wire/cases.ts';

/** A service as a stranger sees it: what a client may get, whatever it sends. */
export interface AnsweringService {
  readonly service: string;
  readonly keys?: object;
  /** It ends the stream by itself, or after the client has. */
  readonly ends: boolean;
  /** Whether these bytes are right as all that a client gets over a stream. */
  readonly answers: (answer: Buffer, sent: Buffer) => boolean;
}

const answeringServices: readonly AnsweringService[] = [
  { service: 'echo', ends: true, answers: (answer, sent) => answer.equals(sent) },
  { service: 'discard', ends: true, answers: (answer) => answer.length === 0 },
  { service: 'chargen', ends: false, answers: isPattern },
  { service: 'qotd', ends: true, answers: (answer) => isLines(answer) && answer.length < 512 },
  { service: 'systat', ends: true, answers: (answer) => /^\d+ users\r\n$/.test(answer.toString('latin1')) },
  {
    service: 'daytime',
    keys: { format: 'iso8601' },
    ends: true,
    answers: (answer) => /^\d{4}(-\d\d){2}T\d\d(:\d\d){2}[+-]\d\d:\d\d\r\n$/.test(answer.toString('latin1')),
  },
  { service: 'time', ends: true, answers: (answer) => answer.length === 4 },
  // Nothing after HELP, because it offers nothing.
  { service: 'tcpmux', ends: true, answers: (answer) => /^(-[ -~]+\r\n)?$/.test(answer.toString('latin1')) },
  { service: 'finger', ends: true, answers: (answer) => /^([ -~]+\r\n)+$/.test(answer.toString('latin1')) },
  {
    service: 'ident',
    ends: true,
    answers: (answer) =>
      /^(\d{1,5} , \d{1,5} : ERROR : (HIDDEN-USER|INVALID-PORT)\r\n)*$/.test(answer.toString('latin1')),
  },
  { service: 'stamp', ends: false, answers: (answer) => answer.length >= 44 },
];

export const streamServices = answeringServices.filter(({ service }) => transportsOf(service).includes('tcp'));
export const datagramServices = answeringServices.filter(({ service }) => transportsOf(service).includes('udp'));

/** How much of a stream without an end is looked at. */
export const enough = 10_000;

const pattern = Buffer.from(Array.from({ length: enough }, (_byte, position) => chargenByte(position)));

function isPattern(answer: Buffer): boolean {
  return answer.subarray(0, enough).equals(pattern.subarray(0, answer.length));
}

function isLines(answer: Buffer): boolean {
  return answer.length > 2 && answer.subarray(-2).toString('latin1') === '\r\n';
}
