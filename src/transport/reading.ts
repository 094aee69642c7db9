import type { Socket } from 'node:net';

/** What Node's sockets have underneath; undocumented, so perhaps not for ever. */
interface Handle {
  reading?: boolean;
  readStop?(): number;
}

/**
 * Has a paused socket read nothing more. `pause` alone lets it read one more piece, of 64 KiB, and keep it: https://nodejs.org/api/net.html#socketpause.
 * Where a Node has no such handle that piece is the price. `resume` reads on, as ever.
 */
export function stopReading(socket: Socket): void {
  const handle = (socket as Socket & { readonly _handle?: Handle | null })._handle;
  if (handle?.reading !== true || typeof handle.readStop !== 'function') return;
  // As Node does itself before it reads on.
  handle.reading = false;
  handle.readStop();
}
