/** Clients of an admin endpoint that leave no room for others, and what a health probe gets nevertheless. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { until } from './wait.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface CrowdKind {
  readonly what: string;
  readonly count: number;
  /** What each does once it is there. */
  readonly act: (socket: Socket) => void;
  /** Whether each comes back when it is gone. */
  readonly comesBack: boolean;
  /** How soon, where it is not `awayMs`. */
  readonly awayMs?: number;
  /** Each brings another that comes when it is there, and if more than these stay, the first goes. */
  readonly stay?: number;
}

/**
 * How long one stays away that comes back: more connections than the daemon accepts would be the kernel's to turn away.
 */
const awayMs = 20;

/** Connections that stay until they are cut. */
export class Crowd {
  readonly #target: Target;
  readonly #kind: CrowdKind;
  readonly #there = new Set<Socket>();
  #came = 0;
  #isOver = false;

  constructor(target: Target, kind: CrowdKind) {
    this.#target = target;
    this.#kind = kind;
    onTestFinished(() => this.leave());
  }

  async come(): Promise<void> {
    for (let each = 0; each < this.#kind.count; each += 1) this.#enter();
    await until(() => this.#came >= this.#kind.count, `the connections of ${this.#kind.what}`);
  }

  leave(): void {
    this.#isOver = true;
    for (const socket of this.#there) socket.destroy();
  }

  #bringAnother(): void {
    const { stay } = this.#kind;
    if (stay === undefined) return;
    const [first] = this.#there;
    if (this.#there.size > stay) first?.destroy();
    this.#enter();
  }

  #enter(): void {
    if (this.#isOver) return;
    const socket = new Socket();
    this.#there.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#there.delete(socket);
      if (this.#kind.comesBack) setTimeout(() => this.#enter(), this.#kind.awayMs ?? awayMs);
    });
    socket.connect(this.#target, () => {
      this.#came += 1;
      this.#kind.act(socket);
      this.#bringAnother();
    });
  }
}

/** Asks for a page, and does not read it. */
export function askFor(path: string): (socket: Socket) => void {
  return (socket) => {
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  };
}

/** What a probe gets: `ok`, another status, or how it was cut. */
export async function answerOf(target: Target, path = '/livez'): Promise<string> {
  try {
    const asked = request({ ...target, path, agent: false }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode === 200 ? 'ok' : `status ${response.statusCode}`;
  } catch (error) {
    return String(error);
  }
}
