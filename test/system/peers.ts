import type { Network } from './machine.ts';
import { Program, run } from './program.ts';

/** OpenBSD's nc and GNU telnet, in a network of the test or in the machine's own. */
export class Peers {
  readonly #inside: (argv: readonly string[]) => readonly string[];

  constructor(network?: Network) {
    this.#inside = network === undefined ? (argv) => argv : (argv) => network.inside(argv);
  }

  /** `nc -N HOST PORT`: sends the input and its end, and returns all that comes back. */
  async tcp(host: string, port: number | string, input = ''): Promise<string> {
    return (await this.#nc(['-N', '-w', '5', host, String(port)], input)).output;
  }

  /** The same, as bytes. */
  async tcpBytes(host: string, port: number | string): Promise<Uint8Array> {
    return (await this.#nc(['-N', '-w', '5', host, String(port)], '')).bytes;
  }

  /** `nc -N -U PATH`. */
  async unix(path: string, input = ''): Promise<string> {
    return (await this.#nc(['-N', '-w', '5', '-U', path], input)).output;
  }

  /**
   * `nc -u -w1 HOST PORT`: sends the input as one datagram, and returns what comes back until a second of silence.
   * `from` is an address of ours.
   */
  async udp(host: string, port: number | string, input = '\n', from?: string): Promise<string> {
    return (await this.#nc(['-u', '-w', '1', ...source(from), host, String(port)], input)).output;
  }

  /** `nc -u HOST PORT`: sends the input as one datagram, and returns the first answer, which may take its time. */
  async udpAnswer(
    host: string,
    port: number | string,
    input: string = '\n',
    withinMs?: number,
    from?: string,
  ): Promise<string> {
    const nc = this.talk('-u', ...source(from), host, String(port));
    nc.type(input);
    await nc.until(() => nc.bytes.length > 0, 'an answer', withinMs);
    nc.signal('SIGKILL');
    await nc.ended;
    return nc.output;
  }

  /** `nc HOST PORT`, for line after line. */
  talk(...args: readonly string[]): Program {
    return new Program(this.#inside(['nc', ...args]));
  }

  /** `telnet HOST PORT`, until the foreign host closes the connection. */
  async telnet(host: string, port: number): Promise<string> {
    const telnet = new Program(this.#inside(['telnet', host, String(port)]));
    await telnet.until(() => !telnet.running, 'the end of telnet');
    await telnet.ended;
    return telnet.output + telnet.complaints;
  }

  async #nc(args: readonly string[], input: string): Promise<Program> {
    return run(this.#inside(['nc', ...args]), { input });
  }
}

function source(address: string | undefined): readonly string[] {
  return address === undefined ? [] : ['-s', address];
}
