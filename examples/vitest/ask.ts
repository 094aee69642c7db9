import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';

export interface AskOptions {
  /** How often to try. */
  readonly attempts?: number;
  /** How long to wait for each answer, in milliseconds. */
  readonly timeoutMs?: number;
}

/** The client to be tested: sends a text to an echo service, and tries again if that fails. */
export async function ask(port: number, text: string, { attempts = 5, timeoutMs = 10_000 }: AskOptions = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(port, text, timeoutMs);
    } catch (error) {
      if (attempt === attempts) throw error;
    }
  }
}

async function askOnce(port: number, text: string, timeoutMs: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').end(text);
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error('no answer')));
  const answer = await textOf(socket);
  if (answer !== text) throw new Error(`wrong answer: ${answer}`);
  return answer;
}
