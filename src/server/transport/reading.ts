import type { Socket } from 'node:net';

/** What Node's sockets have underneath; undocumented, so perhaps not for ever. */
interface Handle {
  reading?: boolean;
  readStart?(): number;
  readStop?(): number;
}

/**
 * Has a paused socket read nothing more. `pause` alone lets it read one more piece, of 64 KiB, and keep it:
 * https://nodejs.org/api/net.html#socketpause. Where a Node has no such handle that piece is the price.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== true || typeof handle.readStop !== 'function') return;
  // As Node does itself.
  handle.reading = false;
  handle.readStop();
}

/** Undoes `stopReading`: `resume` alone does not, where the socket was stopped while it waited to be read from. */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== false || typeof handle.readStart !== 'function') return;
  handle.reading = true;
  handle.readStart();
}

function handleOf(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { readonly _handle?: Handle | null })._handle;
}
