import { type Libc, requireLibc } from '../../src/kernel/libc.ts';

/** Functions of libc where a netlink socket answers with these parts. */
export function answering(...parts: readonly Buffer[]): Libc {
  const functions = requireLibc();
  const answer = Buffer.concat(parts);
  let target = Buffer.alloc(0);
  let isRead = false;
  return {
    ...functions,
    allocate(bytes) {
      const memory = functions.allocate(bytes);
      target = Buffer.from(memory.buffer);
      // What an earlier answer may have left behind.
      target.fill(0x01);
      return memory;
    },
    send: () => 0,
    recv() {
      if (isRead) return -1;
      isRead = true;
      answer.copy(target);
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
