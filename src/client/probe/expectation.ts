import { isUtf8 } from 'node:buffer';
import { type Context, createContext, Script } from 'node:vm';
import { SmallservdError } from '../../errors.ts';
import { formatDuration } from '../../units.ts';

/** The bytes of an answer in which an expectation is looked for. */
export const mostAnswerBytes: number = 64 * 1024;

/** A nested quantifier takes time that grows exponentially with the answer. */
const mostSearchMs = 1000;

const search = new Script('expression.test(text)');

/** A regular expression that an answer must match. */
export class Expectation {
  readonly #expression: RegExp;
  readonly #context: Context;
  readonly #mostMs: number;

  constructor(expression: RegExp, mostMs: number = mostSearchMs) {
    this.#mostMs = mostMs;
    // Neither of these flags starts where an earlier search has ended.
    this.#expression = new RegExp(expression.source, expression.flags.replaceAll(/[gy]/g, ''));
    this.#context = createContext({ expression: this.#expression, text: '' });
  }

  /** Throws `ANSWER_WRONG` if the search takes too long. */
  isMetBy(answer: Uint8Array): boolean {
    this.#context['text'] = answerText(answer);
    try {
      return search.runInContext(this.#context, { timeout: this.#mostMs }) === true;
    } catch (cause) {
      const message = `${this.#expression}: the search took longer than ${formatDuration(this.#mostMs)}`;
      throw new SmallservdError('ANSWER_WRONG', message, { cause, outcome: 'failed' });
    }
  }
}

/** UTF-8, or if it is not that, each byte as a character (ISO 8859-1). */
export function answerText(answer: Uint8Array): string {
  return Buffer.from(answer).toString(isUtf8(answer) ? 'utf8' : 'latin1');
}
