import { domainToASCII } from 'node:url';
import { formatHostPort } from '../address/host-port.ts';
import { Connection, type Endpoint, type Received } from './dial/connection.ts';
import { parseTarget, type Target } from './dial/target.ts';
import { startTimeout } from './dial/wait.ts';
import { SmallservdError } from '../errors.ts';
import type { Outcome } from '../outcomes.ts';
import { type ClientOptions, withDefaults } from './options.ts';

export interface HeadOptions extends ClientOptions {
  /** The path to request, starting with `/`, with an optional query, percent-encoded. Default `/`. */
  readonly path?: string | undefined;
}

export interface HeadAnswer {
  readonly peer: Endpoint;
  /** The entire answer, up to 64 KiB, each byte as a character (ISO 8859-1). */
  readonly text: string;
  /** `HTTP/1.1 200 OK`. Undefined if the response is not HTTP. */
  readonly statusLine: string | undefined;
  /** In order of arrival. Names may repeat. */
  readonly headers: readonly Header[];
  /** What is wrong with the answer, or undefined. */
  readonly fault: string | undefined;
  /** `ok`, or how a faulty answer ended: `wrong-answer`, `reset` or `timeout`. */
  readonly outcome: Outcome;
}

export interface Header {
  readonly name: string;
  readonly value: string;
}

const limit = 64 * 1024;

const outcomesOfEnds: Readonly<Record<Received['end'], Outcome>> = {
  finished: 'wrong-answer',
  limit: 'wrong-answer',
  reset: 'reset',
  timeout: 'timeout',
};

/**
 * Sends a HEAD request (RFC 9110 section 9.3.2) over plain TCP and reads to the end. `host` is `HOST` or `HOST:PORT`. A
 * faulty answer is still returned. Throws `ARGUMENT_INVALID` and what every client throws.
 */
export async function head(host: string, options: HeadOptions = {}): Promise<HeadAnswer> {
  const target = parseTarget(host, 'tcp', 'http');
  const path = checkPath(options.path ?? '/');
  const connection = await Connection.open(target, startTimeout(withDefaults(options)));
  try {
    await connection.write(`HEAD ${path} HTTP/1.1\r\nHost: ${hostField(target)}\r\nConnection: close\r\n\r\n`);
    const { bytes, end } = await connection.readAll(limit);
    const text = Buffer.from(bytes).toString('latin1');
    const parsed = parseHead(text, end);
    return { peer: connection.peer, text, ...parsed, outcome: parsed.fault === undefined ? 'ok' : outcomesOfEnds[end] };
  } finally {
    connection.destroy();
  }
}

/** Checks for origin form (RFC 9112 section 3.2.1). A space or line end would change the request. */
function checkPath(path: string): string {
  if (/^\/[!"$-~]*$/.test(path)) return path;
  const expected =
    'expected a path that starts with / and has only ASCII, without spaces or #; percent-encode other characters, as in /a%20b';
  throw new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(path)} is not a path: ${expected}`);
}

/** The Host field (RFC 9110 section 7.2), without the zone, which is meaningless there, and the default port. */
function hostField({ host, port }: Target): string {
  // Convert only if necessary: domainToASCII would also read `1.2.3` as an address.
  const name = /^[\0-\x7f]*$/.test(host) ? host.replace(/%.*$/, '') : domainToASCII(host);
  return port === 80 ? formatHostPort(name, port).replace(/:80$/, '') : formatHostPort(name, port);
}

/** Parses a message head. A bare LF also ends a line (RFC 9112 section 2.2). */
function parseHead(text: string, end: Received['end']): Omit<HeadAnswer, 'peer' | 'text' | 'outcome'> {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''));
  // Text after the last line end is an incomplete line.
  const rest = lines.pop() ?? '';
  for (let start = 0; ; ) {
    const emptyLine = lines.indexOf('', start);
    const isWhole = emptyLine >= 0;
    const [statusLine = rest, ...headerLines] = lines.slice(start, isWhole ? emptyLine : undefined);
    const status = /^HTTP\/\d\.\d (\d{3})(?: .*)?$/.exec(statusLine)?.[1];
    if (status === undefined) {
      const odd = [...lines.slice(start), rest].join('\n');
      return { statusLine: undefined, headers: [], fault: strangeness(odd, end) };
    }
    // Skip interim responses (RFC 9110 section 15.2).
    if (isWhole && /^1(?!01)/.test(status)) {
      start = emptyLine + 1;
      continue;
    }
    const fields = headerLines.map(parseField);
    const headers = fields.flatMap((field) => field ?? []);
    const odd = headerLines[fields.indexOf(undefined)];
    return { statusLine, headers, fault: faultOf(isWhole, odd, end) };
  }
}

/** Takes time in proportion to the length of the line, whatever the server sends, unlike a regular expression. */
function parseField(line: string): HeadAnswer['headers'][number] | undefined {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colon));
  if (!/^[!#$%&'*+.^`|~\w-]+$/.test(name) || line.includes('\r')) return undefined;
  let [start, end] = [colon + 1, line.length];
  while (start < end && isBlank(line[start])) start += 1;
  while (end > start && isBlank(line[end - 1])) end -= 1;
  return { name, value: line.slice(start, end) };
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function strangeness(text: string, end: Received['end']): string {
  if (text === '') return 'the connection ended without a response';
  return text.startsWith('HTTP/') && !text.includes('\n') ? cut(end) : 'the response is not HTTP';
}

function faultOf(isWhole: boolean, odd: string | undefined, end: Received['end']): string | undefined {
  if (odd !== undefined) return `malformed header line in the response: ${JSON.stringify(odd.slice(0, 80))}`;
  if (!isWhole) return cut(end);
  if (end === 'limit') return 'the response exceeds 64 KiB';
  // A reset after a complete answer is harmless.
  return end === 'timeout' ? 'response complete, but the connection did not close in time' : undefined;
}

function cut(end: Received['end']): string {
  const reasons = {
    finished: 'the connection ended',
    reset: 'the connection was reset',
    timeout: 'nothing more arrived in time',
    limit: 'longer than 64 KiB',
  } as const satisfies Record<Received['end'], string>;
  return `incomplete response header: ${reasons[end]}`;
}
