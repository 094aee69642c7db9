/** Attack 2: one packet that makes two servers answer each other. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inOneProcess } from '../support/daemon-process.ts';
import { type Network, temporaryDirectory } from '../system/machine.ts';
import { DaemonProgram } from '../system/program.ts';
import { type Capture, type Flood, trafficOf } from './packets.ts';
import { sockets } from './sockets.ts';

/** A service of one server and one of the other, by port. */
export interface Pair {
  readonly near: { readonly service: string; readonly port: number };
  readonly far: { readonly service: string; readonly port: number };
  /** Bytes of the packet that starts it; 32 unless given. */
  readonly sparkLength?: number;
}

/**
 * Each pair at ports of its own, the near ones from `nearPort` on: nothing but the loop rule and the rate stands
 * between them.
 */
export function pairsAt(
  services: readonly (readonly [string, string])[],
  nearPort: number,
  farPort: number,
): readonly Pair[] {
  return services.map(([near, far], index) => ({
    near: { service: near, port: nearPort + index },
    far: { service: far, port: farPort + index },
  }));
}

/** Starts a daemon with one instance for each service, at its port over UDP. */
export async function serve(
  network: Network,
  address: string,
  services: readonly Pair['near'][],
): Promise<DaemonProgram> {
  const config = join(temporaryDirectory(), 'smallservd.yaml');
  const instances = services.map(({ service, port }) => [
    `${service}-${port}`,
    { type: service, listen: [`udp4://${address}:${port}`] },
  ]);
  writeFileSync(config, JSON.stringify({ ...inOneProcess, sockets, services: Object.fromEntries(instances) }));
  const daemon = new DaemonProgram(['--config', config], (argv) => network.inside(argv));
  await daemon.ready();
  return daemon;
}

/** The packet that starts the storm: to the far service, as if from the near one. */
export function spark({ near, far, sparkLength = 32 }: Pair, from: string, to: string): Flood {
  return { to, port: far.port, from, sourcePort: near.port, length: sparkLength };
}

/** How often each of the two answered. */
export function answersIn(capture: Capture, { near, far }: Pair): { readonly near: number; readonly far: number } {
  // The first packet from the near port is the forged one.
  return {
    near: trafficOf(capture, near.port).from.packets - 1,
    far: trafficOf(capture, far.port).from.packets,
  };
}
