import { type IpAddress, parseIp } from '../../address/ip-address.ts';

/** Contents of a PROXY protocol header, version 1 or 2. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt */
export interface ProxyHeader {
  /** Undefined if the header names no client of the transport that it came over, so the peer's own address applies. */
  readonly client: { readonly ip: IpAddress; readonly port: number } | undefined;
  /** Length of the header in bytes, 15 to 65,551. */
  readonly length: number;
}

/** `more`: incomplete so far. `malformed`: cannot become a header. */
type Pending = 'more' | 'malformed';

/** The longest version 1 line, including CRLF (section 2.1). Of version 2, 52 bytes decide, see `decisiveLength`. */
const keptLength = 107;

/**
 * Version 1 lines whose endings complete every valid prefix, within `keptLength` if possible. TCP6 needs two, because
 * the address may lack a group (`:0`) or the rest of a dotted quad (`.0.0`).
 */
const examples = [
  'PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n',
  'PROXY TCP6 ::0 ::0 0 0\r\n',
  'PROXY TCP6 ::0.0.0.0 ::0.0.0.0 0 0\r\n',
  'PROXY UNKNOWN\r\n',
];
const endings = examples.flatMap((example) => Array.from(example, (_, at) => example.slice(at)));

/** One character per byte. Only ASCII matters. */
const latin1 = new TextDecoder('latin1');

const line = /^PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n$/;

/** The version 2 signature (section 2.2). */
const signature = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** The signature, version and command, family and transport, and the two-byte length of the rest. */
const fixedLength = signature.length + 4;
const local = 0x20;
const proxy = 0x21;
/** Families, with one of the transports below: INET and INET6. */
const inet = 0x10;
const inet6 = 0x20;
/** The transports that are served: STREAM, and DGRAM, which is also the last that is known. */
const stream = 1;
const dgram = 2;
/** Address block sizes including ports, by family: UNSPEC, INET, INET6, UNIX. */
const addressesLengths = [0, 12, 36, 216] as const;
/** All that is read of version 2: up to the ports of IPv6. */
const decisiveLength = fixedLength + addressesLengths[2];

/**
 * Parses the header that a proxy sends before the client's data. It is strict, because an almost correct header does
 * not come from a proxy: input is malformed at the first byte that cannot continue a header. Buffers 107 bytes, however
 * long the header is.
 */
export class ProxyHeaderParser {
  readonly #kept = new Uint8Array(keptLength);
  #received = 0;
  #header: ProxyHeader | Pending = 'more';
  #isEnded = false;

  /**
   * Takes the next bytes of the stream. Returns the header together with `rest`, the client's part of the chunk. Throws
   * an Error if called after a header or after `malformed`.
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

  /** Parses the buffered bytes and the chunk, which starts at stream offset `at`. */
  #read(chunk: Uint8Array, at: number): ProxyHeader | Pending {
    // Never beyond the buffer, which is large enough to decide.
    this.#kept.set(chunk.subarray(0, keptLength - at), at);
    const bytes = this.#kept.subarray(0, this.#received);
    return bytes[0] === signature[0] ? readBinary(bytes, stream) : readText(bytes);
  }
}

/**
 * Reads the header at the start of a datagram: version 2, complete. `none`: it does not start with the signature. Like
 * `ProxyHeaderParser`, it takes nothing for a header that no proxy sends.
 */
export function readDatagramHeader(datagram: Uint8Array): ProxyHeader | 'none' | 'malformed' {
  if (datagram.length < signature.length || !beginsAsSignature(datagram)) return 'none';
  const header = readBinary(datagram.subarray(0, decisiveLength), dgram);
  return header === 'more' || header === 'malformed' || header.length > datagram.length ? 'malformed' : header;
}

/** Parses version 1. */
function readText(bytes: Uint8Array): ProxyHeader | Pending {
  const text = latin1.decode(bytes);
  const end = text.indexOf('\n') + 1;
  if (end > 0) return readLine(text.slice(0, end)) ?? 'malformed';
  return endings.some((ending) => readLine(text + ending) !== undefined) ? 'more' : 'malformed';
}

/** Returns undefined if the line is not a header. */
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
  // A zone would name an interface of the proxy's machine.
  return isOfFamily && !text.includes('%') ? parseIp(text) : undefined;
}

/** Whether nothing tells the bytes from a signature, as far as they go. */
function beginsAsSignature(bytes: Uint8Array): boolean {
  const end = Math.min(bytes.length, signature.length);
  for (let at = 0; at < end; at += 1) if (bytes[at] !== signature[at]) return false;
  return true;
}

/** Parses version 2 over one of the transports. TLVs after the addresses (section 2.2) are skipped. */
function readBinary(bytes: Uint8Array, transport: typeof stream | typeof dgram): ProxyHeader | Pending {
  if (!beginsAsSignature(bytes)) return 'malformed';
  const command = bytes[signature.length] ?? local;
  const family = bytes[signature.length + 1] ?? 0;
  if (command !== local && command !== proxy) return 'malformed';
  const isProxy = command === proxy;
  const addressesLength = addressesLengths[family >>> 4];
  // The family must be ignored for LOCAL.
  if (isProxy && (addressesLength === undefined || (family & 0xf) > dgram)) return 'malformed';
  if (bytes.length < fixedLength) return 'more';

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const following = view.getUint16(fixedLength - 2);
  const length = fixedLength + following;
  if (!isProxy) return { client: undefined, length };
  if (addressesLength === undefined || following < addressesLength) return 'malformed';
  // An unknown family, a UNIX socket or the other transport is valid, but cannot be a client. Use the peer's address,
  // as HAProxy does and as section 2.2 requires for anything that a receiver does not support.
  const isIpv4 = family === (inet | transport);
  if (!isIpv4 && family !== (inet6 | transport)) return { client: undefined, length };
  if (bytes.length < fixedLength + addressesLength) return 'more';
  // The addresses of source and destination, then their ports.
  if (isIpv4) {
    const ip = { w0: 0, w1: 0, w2: 0xffff, w3: view.getUint32(fixedLength) };
    return { client: { ip, port: view.getUint16(fixedLength + 8) }, length };
  }
  const word = (at: number): number => view.getUint32(fixedLength + at);
  const ip = { w0: word(0), w1: word(4), w2: word(8), w3: word(12) };
  return { client: { ip, port: view.getUint16(fixedLength + 32) }, length };
}
