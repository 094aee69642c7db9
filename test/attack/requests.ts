/** Asks services over and over by the program of requests.c, faster than Node could. */
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/daemon-process.ts';

const execute = promisify(execFile);

/** What became of the requests of one run. */
export interface Answers {
  readonly answered: number;
  /** With other bytes than the service owes. */
  readonly wrong: number;
  /** Never answered, or cut. */
  readonly lost: number;
  readonly seconds: number;
}

export interface Requests {
  readonly service: string;
  /** `stay`: one after the other on connections that stay. `connections`: a connection each. */
  readonly manner: 'connections' | 'stay' | 'datagrams';
  readonly port: number;
  readonly count: number;
  /** The port of UDP echo, whose answers pace datagrams to a service that never answers. */
  readonly pacePort?: number;
}

export class RequestProgram {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  /** Compiles it; it is gone when the test is over. Needs `cc`. */
  static compile(): RequestProgram {
    const file = join(temporaryDirectory(), 'requests');
    const source = fileURLToPath(new URL('requests.c', import.meta.url));
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', file, source], { stdio: 'inherit' });
    return new RequestProgram(file);
  }

  /** Asks 127.0.0.1, and rejects where that takes longer than `withinMs`. */
  async ask({ service, manner, port, count, pacePort }: Requests, withinMs: number): Promise<Answers> {
    const args = [service, manner, String(port), String(count), ...(pacePort === undefined ? [] : [String(pacePort)])];
    const { stdout } = await execute(this.#file, args, { timeout: withinMs });
    const [answered = 0, wrong = 0, lost = 0, seconds = 0] = stdout.trim().split(' ').map(Number);
    return { answered, wrong, lost, seconds };
  }
}
