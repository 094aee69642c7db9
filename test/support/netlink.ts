import { type Libc, requireLibc } from '../../src/kernel/libc.ts';

/** Functions of libc where netlink sockets answer with these parts, one socket after the other. */
export function answering(...answers: readonly (readonly Buffer[])[]): Libc {
  const functions = requireLibc();
  const targets = new Map<bigint, Buffer>();
  let asked = 0;
  let isRead = false;
  return {
    ...functions,
    allocate(bytes) {
      const memory = functions.allocate(bytes);
      // What an earlier answer may have left behind.
      targets.set(memory.address, Buffer.from(memory.buffer).fill(0x01));
      return memory;
    },
    send() {
      asked += 1;
      isRead = false;
      return 0;
    },
    recv(_descriptor, address) {
      if (isRead) return -1;
      isRead = true;
      const answer = Buffer.concat(answers[asked - 1] ?? []);
      answer.copy(targets.get(address) ?? Buffer.alloc(0));
      return answer.length;
    },
  };
}

/** `struct nlmsghdr`. */
export function netlinkHeader(length: number, type: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  return bytes;
}

export function netlinkMessage(type: number, ...body: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(body);
  return Buffer.concat([netlinkHeader(16 + bytes.length, type), bytes]);
}

/** `struct rtattr`. `size` is what it says of its length. */
export function netlinkAttribute(type: number, data: string, size?: number): Buffer {
  const bytes = Buffer.alloc(4);
  const content = Buffer.from(data, 'hex');
  bytes.writeUInt16LE(size ?? 4 + content.length, 0);
  bytes.writeUInt16LE(type, 2);
  return Buffer.concat([bytes, content]);
}
