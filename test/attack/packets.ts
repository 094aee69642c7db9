/** Forged packets, and counts of what goes over an interface, by the program of packets.c. Needs root and `cc`. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Network, temporaryDirectory } from '../system/machine.ts';
import { Program, run } from '../system/program.ts';

/** What is sent; packets.c has the meaning of each and what holds without it. */
export interface Flood {
  /** An IPv4 address. */
  readonly to: string;
  readonly port: number;
  readonly from?: string;
  readonly sources?: number;
  readonly step?: number;
  /** `1024-2047`: each in turn. */
  readonly sourcePort?: number | string;
  readonly length?: number;
  readonly payload?: Uint8Array;
  /** Any is wrong, but 0, which is none. */
  readonly checksum?: number;
  readonly count?: number;
  /** Packets a second. */
  readonly rate?: number;
  /** At most. */
  readonly seconds?: number;
  /** `INTERFACE,MAC`. */
  readonly through?: string;
}

export interface Sent {
  readonly sent: number;
  readonly seconds: number;
}

interface PacketCount {
  readonly packets: number;
  /** On the wire, see packets.c. */
  readonly bytes: number;
  /** The largest packet, in bytes on the wire. */
  readonly largest: number;
}

export interface Traffic {
  readonly to: PacketCount;
  readonly from: PacketCount;
}

export interface Capture {
  readonly ports: Readonly<Record<string, Traffic>>;
}

export class PacketProgram {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** Compiles it; it is gone when the test is over. */
  static compile(): PacketProgram {
    const file = join(temporaryDirectory(), 'packets');
    const source = fileURLToPath(new URL('packets.c', import.meta.url));
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', file, source], { stdio: 'inherit' });
    return new PacketProgram(file);
  }

  /** The command line that sends. */
  sending({ to, port, payload, ...options }: Flood): readonly string[] {
    const given = { ...options, ...(payload !== undefined && { hex: Buffer.from(payload).toString('hex') }) };
    const flags = Object.entries(given).flatMap(([name, value]) => [
      `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      String(value),
    ]);
    return [this.#file, 'send', to, String(port), ...flags];
  }

  /** Sends from a network, to the end. */
  async send(network: Network, flood: Flood): Promise<Sent> {
    const program = await run(network.inside(this.sending(flood)));
    if ((await program.ended).code !== 0) throw new Error(`nothing was sent: ${program.complaints}`);
    return JSON.parse(program.output) as Sent;
  }

  /** Counts from now on, at an interface of a network. It gives up after so many seconds. */
  async count(network: Network, device: string, ports: readonly number[], seconds = 60): Promise<PacketCounter> {
    const command = [this.#file, 'count', device, ...ports.map(String), '--seconds', String(seconds)];
    const program = new Program(network.inside(command));
    await program.says(/^ready$/m);
    return new PacketCounter(program);
  }
}

export class PacketCounter {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  /** Ends, and gives what was counted. Throws where the capture lost packets, or had ended before. */
  async stop(): Promise<Capture> {
    if (!this.#program.running) throw new Error(`the count had ended: ${this.#program.complaints}`);
    this.#program.signal('SIGTERM');
    const { code } = await this.#program.end();
    if (code !== 0) throw new Error(`the count failed: ${this.#program.complaints}`);
    const { lost, ...capture } = JSON.parse(this.#program.output.split('\n')[1] ?? '') as Capture & { lost: number };
    if (lost > 0) throw new Error(`${lost} packets went by without being counted`);
    return capture;
  }
}

/** What went to that port, and came from it. */
export function trafficOf(capture: Capture, port: number): Traffic {
  const traffic = capture.ports[port];
  if (traffic === undefined) throw new Error(`nobody counted at port ${port}`);
  return traffic;
}
