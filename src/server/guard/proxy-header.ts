import { type IpAddress, parseIp } from '../../address/ip-address.ts';

/**
 * What a header of the PROXY protocol says of the client (version 1 or 2,
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 */
export interface ProxyHeader {
  /** Undefined: the header names no TCP client, so the address of the peer stands. */
  readonly client: { readonly ip: IpAddress; readonly port: number } | undefined;
  /** How many bytes of the stream the header takes, 15 to 65,551. */
  readonly length: number;
}

/** `more`: nothing can be said yet. `malformed`: whatever follows, this is no header. */
type Pending = 'more' | 'malformed';

/**
 * A line of version 1 is at most this long, CRLF included (section 2.1). Of version 2, the first 52 bytes are needed.
 */
const keptLength = 107;

/**
 * Lines of version 1 whose ends complete every beginning of a line that can be completed, and within `keptLength` if
 * anything does. TCP6 has two, as the address may lack a group (`:0`) or the rest of a dotted quad (`.0.0`).
 */
const examples = [
  'PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n',
  'PROXY TCP6 ::0 ::0 0 0\r\n',
  'PROXY TCP6 ::0.0.0.0 ::0.0.0.0 0 0\r\n',
  'PROXY UNKNOWN\r\n',
];
const endings = examples.flatMap((example) => Array.from(example, (_, at) => example.slice(at)));

/** One character for each byte; which one matters for ASCII only. */
const latin1 = new TextDecoder('latin1');

const line = /^PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n$/;

/** The first bytes of version 2 (section 2.2). */
const signature = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The signature, then version with command, family with transport, and the length of what follows, two bytes. */
const fixedLength = signature.length + 4;
const local = 0x20;
const proxy = 0x21;
const tcp4 = 0x11;
const tcp6 = 0x21;
/** How long the addresses of a family are, with ports: UNSPEC, INET, INET6, UNIX. */
const addressesLengths = [0, 12, 36, 216] as const;
/** UNSPEC, STREAM, DGRAM. */
const lastTransport = 2;

/**
 * Reads the header that a proxy sends before the client's bytes. It is strict, since a header that is almost one comes
 * from no proxy: what cannot become a header is malformed with the first byte that shows it. Holds 107 bytes, however
 * long the header is.
 */
export class ProxyHeaderParser {
  readonly #kept = new Uint8Array(keptLength);
  #received = 0;
  #header: ProxyHeader | Pending = 'more';
  #isEnded = false;

  /**
   * Takes the next bytes of the stream. With the header comes the `rest` of the chunk, which is the client's. Throws an
   * Error after a header, or after `malformed`: there is nothing more to take.
   */
  push(chunk: Uint8Array): Pending | (ProxyHeader & { readonly rest: Uint8Array }) {
    if (this.#isEnded) throw new Error('The header has ended');
    const before = this.#received;
    this.#received += chunk.length;
    if (this.#header === 'more') this.#header = this.#read(chunk, before);

    const header = this.#header;
    if (header === 'more') return header;
    if (header === 'malformed') {
      this.#isEnded = true;
      return header;
    }
    if (this.#received < header.length) return 'more';
    this.#isEnded = true;
    return { ...header, rest: chunk.subarray(header.length - before) };
  }

  /** What the kept bytes say with those of the chunk, which is the part of the stream that starts at byte `at`. */
  #read(chunk: Uint8Array, at: number): ProxyHeader | Pending {
    // Never beyond the end: this many bytes are enough for an answer.
    this.#kept.set(chunk.subarray(0, keptLength - at), at);
    const bytes = this.#kept.subarray(0, this.#received);
    return bytes[0] === signature[0] ? readBinary(bytes) : readText(bytes);
  }
}

/** Version 1. */
function readText(bytes: Uint8Array): ProxyHeader | Pending {
  const text = latin1.decode(bytes);
  const end = text.indexOf('\n') + 1;
  if (end > 0) return readLine(text.slice(0, end)) ?? 'malformed';
  return endings.some((ending) => readLine(text + ending) !== undefined) ? 'more' : 'malformed';
}

/** Undefined: no header. */
function readLine(text: string): ProxyHeader | undefined {
  const fields = text.length <= keptLength ? line.exec(text) : null;
  if (fields === null) return undefined;
  const [, family, source, destination, sourcePort, destinationPort] = fields;
  if (source === undefined || destination === undefined) return { client: undefined, length: text.length };
  const ip = readAddress(source, family);
  const port = Number(sourcePort);
  const isValid = readAddress(destination, family) !== undefined && port <= 0xffff && Number(destinationPort) <= 0xffff;
  return ip !== undefined && isValid ? { client: { ip, port }, length: text.length } : undefined;
}

function readAddress(text: string, family: string | undefined): IpAddress | undefined {
  const isOfFamily = text.includes(':') === (family === '6');
  // A zone means an interface of the proxy's machine.
  return isOfFamily && !text.includes('%') ? parseIp(text) : undefined;
}

/** Version 2. What follows the addresses (TLVs, section 2.2) is skipped. */
function readBinary(bytes: Uint8Array): ProxyHeader | Pending {
  if (bytes.some((byte, at) => at < signature.length && byte !== signature[at])) return 'malformed';
  const [command = local, family = 0] = bytes.subarray(signature.length);
  if (command !== local && command !== proxy) return 'malformed';
  const isProxy = command === proxy;
  const addressesLength = addressesLengths[family >>> 4];
  // With LOCAL the family is to be ignored.
  if (isProxy && (addressesLength === undefined || (family & 0xf) > lastTransport)) return 'malformed';
  if (bytes.length < fixedLength) return 'more';

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const following = view.getUint16(fixedLength - 2);
  const length = fixedLength + following;
  if (!isProxy) return { client: undefined, length };
  if (addressesLength === undefined || following < addressesLength) return 'malformed';
  // An unknown family, a UNIX socket or a datagram's source is no TCP client, but the connection is a good one: the
  // peer's address is used, as HAProxy does and section 2.2 asks for whatever a receiver does not support.
  if (family !== tcp4 && family !== tcp6) return { client: undefined, length };
  if (bytes.length < fixedLength + addressesLength) return 'more';
  return { client: family === tcp4 ? clientOfInet(view) : clientOfInet6(view), length };
}

/** Source, destination (4 bytes each), port of the source, of the destination (2 each). */
function clientOfInet(view: DataView): ProxyHeader['client'] {
  const ip = { w0: 0, w1: 0, w2: 0xffff, w3: view.getUint32(fixedLength) };
  return { ip, port: view.getUint16(fixedLength + 8) };
}

/** As `clientOfInet`, with 16 bytes for an address. */
function clientOfInet6(view: DataView): ProxyHeader['client'] {
  const word = (at: number): number => view.getUint32(fixedLength + at);
  const ip = { w0: word(0), w1: word(4), w2: word(8), w3: word(12) };
  return { ip, port: view.getUint16(fixedLength + 32) };
}
