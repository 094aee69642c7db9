import { StringDecoder } from 'node:string_decoder';

/** An event as it was sent. */
export interface ReceivedEvent {
  readonly name: string;
  /** JSON, unless somebody else sends it. */
  readonly data: string;
}

/** The most characters of an event, its past included. */
const maxEventCharacters = 8 * 2 ** 20;

/**
 * Splits what `EventStreams` sends into events: server-sent events with one line of data each. Undefined: it is not
 * such a stream.
 */
export class EventReader {
  readonly #decoder = new StringDecoder();
  /** The parts of an incomplete event. */
  #parts: string[] = [];
  #characters = 0;

  read(chunk: Buffer): readonly ReceivedEvent[] | undefined {
    const text = this.#decoder.write(chunk);
    this.#characters += text.length;
    if (this.#characters > maxEventCharacters) return undefined;
    const isEnd = text.includes('\n\n') || (text.startsWith('\n') && this.#parts.at(-1)?.endsWith('\n') === true);
    this.#parts.push(text);
    if (!isEnd) return [];
    const texts = this.#parts.join('').split('\n\n');
    const rest = texts.pop() ?? '';
    this.#parts = rest === '' ? [] : [rest];
    this.#characters = rest.length;
    const events = texts.map(readEvent);
    return events.includes(undefined) ? undefined : (events as readonly ReceivedEvent[]);
  }
}

function readEvent(text: string): ReceivedEvent | undefined {
  const [, name, data] = /^event: (\w{1,32})\ndata: (.*)$/.exec(text) ?? [];
  return name === undefined || data === undefined ? undefined : { name, data };
}
