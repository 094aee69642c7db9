import { isIpv4, parseIp } from '../address/ip-address.ts';
import { FileError, readLinesOf } from '../regular-file.ts';

/** About 800,000 connections, most of which nobody holds: whoever connects often leaves many in TIME-WAIT. */
const maxTableBytes = 128 * 2 ** 20;

/** Of an address in the tables. */
const ipv4Digits = 8;
const ipv6Digits = 32;

/** States of a connection that a process can hold (include/net/tcp_states.h): established, and close-wait. */
const heldStates = new Set(['01', '08']);

/** A TCP connection of this machine. */
export interface ConnectionEnds {
  readonly localPort: number;
  /** As a service sees it in `client.peer`. */
  readonly peerAddress: string;
  readonly peerPort: number;
}

/** Which user IDs hold the connections of this machine, as of one moment (proc(5), /proc/net/tcp). */
export class ConnectionOwners {
  /** That of IPv4, then that of IPv6 if there is one. */
  readonly #tables: readonly Buffer[];

  private constructor(tables: readonly Buffer[]) {
    this.#tables = tables;
  }

  /**
   * Throws `FileError` if a table cannot be read, as outside Linux. Without IPv6 there is one table. Under /proc/self,
   * which systemd's ProcSubset=pid leaves visible.
   */
  static async read(directory: string = '/proc/self/net'): Promise<ConnectionOwners> {
    const ipv4 = await readHeld(`${directory}/tcp`, ipv4Digits);
    try {
      return new ConnectionOwners([ipv4, await readHeld(`${directory}/tcp6`, ipv6Digits)]);
    } catch (error) {
      if (error instanceof FileError && error.code === 'ENOENT') return new ConnectionOwners([ipv4]);
      throw error;
    }
  }

  /** Owners as /proc/net/tcp and /proc/net/tcp6 would show them. */
  static parse(...tables: readonly string[]): ConnectionOwners {
    return new ConnectionOwners(tables.map((table) => Buffer.from(table, 'latin1')));
  }

  /**
   * The user ID, or undefined if no process holds the connection. Also if several users hold connections that differ in
   * nothing but the local address, which a client cannot tell apart.
   */
  find({ localPort, peerAddress, peerPort }: ConnectionEnds): number | undefined {
    const found = new Set<number>();
    for (const peer of tableAddresses(peerAddress)) {
      const ends = `:${hex(localPort, 4)} ${peer}:${hex(peerPort, 4)} `;
      const table = this.#tables[peer.length === ipv4Digits ? 0 : 1];
      if (table !== undefined) for (const uid of ownersIn(table, ends)) found.add(uid);
    }
    return found.size === 1 ? [...found][0] : undefined;
  }
}

/** The rows of the connections that a process can hold. */
async function readHeld(path: string, digits: number): Promise<Buffer> {
  return readLinesOf(path, maxTableBytes, (line) => {
    // Number of the row, colon and space; then two addresses with their ports; then the state.
    const at = line.indexOf(':') + 2 + 2 * (digits + ':0000 '.length);
    return heldStates.has(line.toString('latin1', at, at + 2));
  });
}

/** The owners in the rows that contain this text. */
function* ownersIn(table: Buffer, text: string): Generator<number> {
  for (let at = table.indexOf(text); at >= 0; at = table.indexOf(text, at + text.length)) {
    const after = table.toString('latin1', at + text.length, at + text.length + 128);
    // State, queues, timer, retransmissions, user ID, timeout, inode. Without an inode no process has the socket.
    const [state = '', , , , uid, , inode] = after.split('\n', 1)[0]?.trim().split(/ +/) ?? [];
    const isHeld = heldStates.has(state) && inode !== undefined && inode !== '0';
    if (isHeld) yield Number(uid);
  }
}

/** An address as it is written in the tables: in words of the machine's byte order. An IPv4 address can be in both. */
function tableAddresses(text: string): readonly string[] {
  const address = parseIp(text.split('%', 1)[0] ?? '');
  if (address === undefined) return [];
  const words = [address.w0, address.w1, address.w2, address.w3].map(wordInMemory).map((word) => hex(word, 8));
  const ipv6 = words.join('');
  return isIpv4(address) ? [words[3] ?? '', ipv6] : [ipv6];
}

/** The number that this machine reads where the network has these four bytes. */
function wordInMemory(word: number): number {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, word);
  return new Uint32Array(bytes.buffer)[0] ?? 0;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
