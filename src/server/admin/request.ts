/** What the endpoint reads of a request. */
export interface AdminRequest {
  readonly method: string;
  /** The request target, query included. */
  readonly target: string;
  /** Undefined: HTTP/1.0 without the field. */
  readonly host: string | undefined;
}

/** Why a request is refused before anybody looks at what it asks for: the status, and a line for its sender. */
export interface Refusal {
  readonly status: 400 | 408 | 417 | 431;
  readonly reason: string;
}

/** Bytes that the request line and the header fields may have together, line ends included. */
const maxHeaderBytes = 8192;

const maxFields = 100;

const requestLine = /^([!#$%&'*+.^_`|~\w-]+) ([!-~]+) HTTP\/1\.([01])$/;
const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):(.*)$/;
/** All but horizontal tab and line ends. */
// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)/;

/**
 * Reads the header of a request out of what a client has sent so far, as Latin-1; undefined while more is to come. The
 * rules are those of RFC 9112, for an endpoint that answers one request a connection and never reads a body. What
 * cannot become a header is refused at once.
 */
export function readRequest(sent: string): AdminRequest | Refusal | undefined {
  const text = sent.replace(/^\r?\n/, '');
  const end = /\r?\n\r?\n/.exec(text);
  const length = end === null ? text.length : end.index + end[0].length;
  if (length > maxHeaderBytes) return { status: 431, reason: `the header is longer than ${maxHeaderBytes} bytes` };
  const header = text.slice(0, length);
  if (controlCharacter.test(header)) return malformed('it has a control character');
  return end === null ? undefined : parseHeader(header.trimEnd());
}

/** Says what is wrong with a request that is none. */
export function malformed(reason: string): Refusal {
  return { status: 400, reason: `the request is malformed: ${reason}` };
}

function parseHeader(header: string): AdminRequest | Refusal {
  const [first = '', ...lines] = header.split(/\r?\n/);
  const [, method, target, minor] = requestLine.exec(first) ?? [];
  if (method === undefined || target === undefined) return malformed('its first line is not METHOD TARGET HTTP/1.1');
  if (lines.length > maxFields) return { status: 431, reason: `the header has more than ${maxFields} fields` };
  const fields = lines.map((line) => fieldLine.exec(line));
  const valuesOf = (name: string): readonly string[] =>
    fields.flatMap((field) => (field?.[1]?.toLowerCase() === name ? [field[2]?.trim() ?? ''] : []));
  if (fields.includes(null)) return malformed('a line of its header is not a field');
  const [host, ...moreHosts] = valuesOf('host');
  if (moreHosts.length > 0) return malformed('it has two Host fields');
  if (minor === '1' && host === undefined) return malformed('it has no Host field');
  if (method === 'CONNECT') return malformed('this is not a proxy');
  if (valuesOf('expect').some((value) => value.toLowerCase() !== '100-continue'))
    return { status: 417, reason: 'only 100-continue can be expected' };
  return { method, target, host };
}
