import { readFileSync } from 'node:fs';

/** What the kernel says of one IPv4 TCP socket that is not closed; proc(5), /proc/net/tcp. */
export interface KernelSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: 'established' | 'syn-sent' | 'listen' | 'other';
  /** For a listening socket: connections that wait to be accepted. */
  readonly receiveQueue: number;
  readonly timer: 'none' | 'keepalive' | 'other';
  /** Seconds until the timer expires. */
  readonly timerSeconds: number;
}

const states: Readonly<Record<string, KernelSocket['state']>> = {
  '01': 'established',
  '02': 'syn-sent',
  '0A': 'listen',
};
const ticksPerSecond = 100;

/** The sockets that have this port on either side. A machine may hold tens of thousands of others. */
export function kernelSockets(port: number): readonly KernelSocket[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'latin1').match(new RegExp(`^.*:${hex} .*$`, 'gm')) ?? [];
  const sockets = lines.map((line): KernelSocket => {
    const [, local = '', remote = '', state = '', queues = '', timer = ''] = line.trim().split(/\s+/);
    const [kind, ticks = '0'] = timer.split(':');
    return {
      localPort: portOf(local),
      remotePort: portOf(remote),
      state: states[state] ?? 'other',
      receiveQueue: Number.parseInt(queues.split(':')[1] ?? '0', 16),
      timer: kind === '00' ? 'none' : kind === '02' ? 'keepalive' : 'other',
      timerSeconds: Number.parseInt(ticks, 16) / ticksPerSecond,
    };
  });
  return sockets.filter(({ state }) => state !== 'other');
}

function portOf(endpoint: string): number {
  return Number.parseInt(endpoint.split(':')[1] ?? '', 16);
}
