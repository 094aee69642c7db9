import { ConfigError, type ServiceContext, type Service, type ServiceModule } from '../service.ts';
import { LongAnswer } from '../long-answer.ts';
import { listUsers, watchUsers } from './who.ts';

export type SystatOptions = {
  readonly show: 'count' | 'users' | 'text';
  /** Required with `show: text`. */
  readonly text: string | null;
};

const maxDatagram = 512;

/** A forged request must not have us pack all of a list, most of which would exceed its amplification. */
const maxDatagrams = 128;

/** RFC 866: the active users, or a text of the administrator. */
export const systat: ServiceModule<SystatOptions> = {
  name: 'systat',
  summary: 'sends the number or the names of the users who are logged in',
  rfc: 866,
  port: 11,
  udpHazard: 'it sends a list to any forged source address',
  options: {
    show: {
      doc: 'What is shown: how many users are logged in, their login names (a privacy decision), or a fixed text.',
      format: ['count', 'users', 'text'],
      default: 'count',
    },
    text: { doc: 'The text to show if `show` is `text`.', format: 'string', default: null },
  },
  create: (options, context) => createSystat(options, context, listUsers),
};

/** Creates the service. `list` returns the login names and is called only in the background. */
export function createSystat(
  options: SystatOptions,
  context: ServiceContext,
  list: () => Promise<readonly string[]>,
): Service {
  let lines = options.show === 'text' ? readText(options.text) : showUsers([]);
  let answer = joinLines(lines);

  function showUsers(names: readonly string[]): readonly string[] {
    return options.show === 'users' ? names : [names.length === 1 ? '1 user' : `${names.length} users`];
  }

  if (options.show !== 'text')
    watchUsers(context, list, (names) => {
      lines = showUsers(names);
      answer = joinLines(lines);
    });
  return {
    stream: (client) => new LongAnswer(client, answer),
    datagram: (_request, limit) => packLines(answer, lines, Math.min(maxDatagram, limit)),
  };
}

/**
 * Splits an answer made of `lines` into at most 128 datagrams of at most `limit` bytes, at line boundaries. Stops
 * before a line that does not fit. An empty answer is one empty datagram. Returns undefined if nothing fits.
 */
export function packLines(answer: Uint8Array, lines: readonly string[], limit: number): Uint8Array[] | undefined {
  const datagrams: Uint8Array[] = [];
  let begin = 0;
  let end = 0;
  for (const line of lines) {
    const next = end + line.length + 2;
    if (next - begin > limit && end > begin) {
      datagrams.push(answer.subarray(begin, end));
      begin = end;
      if (datagrams.length === maxDatagrams) return datagrams;
    }
    if (next - begin > limit) break;
    end = next;
  }
  if (end > begin || (answer.length === 0 && limit >= 0)) datagrams.push(answer.subarray(begin, end));
  return datagrams.length === 0 ? undefined : datagrams;
}

function joinLines(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}

function readText(text: string | null): readonly string[] {
  if (text === null || text.trim() === '') throw new ConfigError('is required with show: text', { option: 'text' });
  const lines = text.trimEnd().split(/\r?\n/);
  const other = /[^ -~]/u.exec(lines.join(''))?.[0].codePointAt(0);
  if (other !== undefined) {
    const code = other.toString(16).toUpperCase().padStart(4, '0');
    throw new ConfigError(`may contain only printable ASCII, not U+${code}`, { option: 'text' });
  }
  return lines;
}
