/** The parts of a request that the endpoint uses. */
export interface AdminRequest {
  readonly method: string;
  /** The request target, including the query. */
  readonly target: string;
  /** Undefined for HTTP/1.0 without the field. */
  readonly host: string | undefined;
  /** Whose page makes a browser ask, as in `same-origin`: https://www.w3.org/TR/fetch-metadata/. Others do not say. */
  readonly fetchSite?: string | undefined;
  /** Whose page makes a browser POST, as in `http://localhost:9013`: https://fetch.spec.whatwg.org/#origin-header. */
  readonly origin?: string | undefined;
}

/** An early refusal: the status, and a line for the client. */
export interface Refusal {
  readonly status: 400 | 408 | 417 | 431;
  readonly reason: string;
}

/** The most bytes of request line and header fields together, including line ends. */
const maxHeaderBytes = 8192;

const maxFields = 100;

const requestLine = /^([!#$%&'*+.^_`|~\w-]+) ([!-~]+) HTTP\/1\.([01])$/;
const fieldLine = /^([!#$%&'*+.^_`|~\w-]+):(.*)$/;
/** All except horizontal tab and line ends. */
// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|$)/;

/**
 * Parses the header from the data received so far, as Latin-1. Returns undefined if more is needed. Follows RFC 9112,
 * for an endpoint that answers one request per connection and never reads a body. Anything that cannot become a header
 * is refused at once.
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

/** Says why the data is not a valid request. */
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
  if (method === 'CONNECT') return { status: 400, reason: 'CONNECT is not supported: this is not a proxy' };
  if (valuesOf('expect').some((value) => value.toLowerCase() !== '100-continue'))
    return { status: 417, reason: 'the only supported expectation is 100-continue' };
  const [fetchSite] = valuesOf('sec-fetch-site');
  const [origin] = valuesOf('origin');
  return { method, target, host, fetchSite, origin };
}
