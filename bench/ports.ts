import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Ports, type ServiceKind, serviceKinds } from './services.ts';

/** Below the ports of clients (net.ipv4.ip_local_port_range), or one of 10,000 clients would take it. */
const first = 20_000;
const last = 32_000;

let next = first;

/** Finds a free port of 127.0.0.1 for each service, no port twice. */
export async function choosePorts(): Promise<Ports> {
  const chosen: [ServiceKind, number][] = [];
  for (const kind of serviceKinds) {
    while (!(await isFree(next, kind))) next += 1;
    if (next > last) throw new Error(`bench: no free port from ${first} to ${last}`);
    chosen.push([kind, next]);
    next += 1;
  }
  return Object.fromEntries(chosen) as Record<ServiceKind, number>;
}

async function isFree(port: number, kind: ServiceKind): Promise<boolean> {
  const address = { port, host: '127.0.0.1', address: '127.0.0.1' };
  const socket = kind === 'udp-echo' ? createSocket('udp4').bind(address) : createServer().listen(address);
  try {
    await once(socket, 'listening');
  } catch {
    return false;
  }
  socket.close();
  await once(socket, 'close');
  return true;
}
