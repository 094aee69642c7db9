/** Asks the service of fixtures/probe.js about the process that serves it. */
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface Probe {
  readonly pid: number;
  /** Bytes, after a garbage collection. */
  readonly heapUsed: number;
  /** Bytes outside the heap that its objects hold: array buffers included. */
  readonly external: number;
  readonly rss: number;
  /** Open descriptors of the process, the one of this question included. */
  readonly descriptors: number;
  /**
   * The longest that the event loop was away since the last question, without that question's own collection of
   * garbage.
   */
  readonly gapMs: number;
}

/** The module for the config: `probe: { module: probeModule, listen: [...] }`. */
export const probeModule: string = fileURLToPath(new URL('fixtures/probe.js', import.meta.url));

export async function askProbe({ host, port }: { readonly host: string; readonly port: number }): Promise<Probe> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const socket = connect({ host, port });
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve());
  });
  return JSON.parse(String(Buffer.concat(chunks))) as Probe;
}

/** Heap and what it holds outside, in bytes. */
export function heldBytes({ heapUsed, external }: Probe): number {
  return heapUsed + external;
}
