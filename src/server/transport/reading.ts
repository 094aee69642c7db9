import type { Socket } from 'node:net';

/** The undocumented handle under Node's sockets, which may disappear. */
interface Handle {
  reading?: boolean;
  readStart?(): number;
  readStop?(): number;
}

/**
 * Stops a paused socket from reading. `pause` alone lets it read and buffer one more chunk of 64 KiB, see
 * https://nodejs.org/api/net.html#socketpause. Without the undocumented handle, that chunk is still read.
 */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== true || typeof handle.readStop !== 'function') return;
  // Node does the same.
  handle.reading = false;
  handle.readStop();
}

/** Undoes `stopReading`. `resume` alone does not if the socket was stopped while waiting for data. */
export function startReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle?.reading !== false || typeof handle.readStart !== 'function') return;
  handle.reading = true;
  handle.readStart();
}

function handleOf(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { readonly _handle?: Handle | null })._handle;
}
