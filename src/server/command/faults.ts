import { SmallservdError } from '../../errors.ts';
import { escapeToOneLine } from '../../terminal-text.ts';
import { parseDuration } from '../../units.ts';
import { type AdminOptions, adminClient } from './admin.ts';

export interface FaultsOptions extends AdminOptions {
  /** How long, such as `5m`. */
  readonly for?: string;
}

/** The key that a fault is short for, as in `reorder=20ms`. */
const amounts: Readonly<Record<string, string>> = {
  delay: 'time',
  reorder: 'time',
  acceptDelay: 'time',
  firstByteDelay: 'time',
  truncate: 'size',
  answers: 'count',
  rate: 'perSecond',
};

const amountText = /^(?<amount>[^@]+)(?:@(?<probability>[^@]+))?$/;
const delayText = /^(?<amount>[^@±+]+)(?:(?:±|\+-)(?<jitter>[^@±+]+))?(?:@(?<probability>[^@±+]+))?$/;

/** `smallservd faults`: replaces the faults of a service of the running daemon. Resolves with a text. */
export async function changeFaults(service: string, words: readonly string[], options: FaultsOptions): Promise<string> {
  const faults = readWords(words);
  const client = await adminClient(options);
  const active = await client.changeFaults({ service, faults, forTime: options.for ?? null });
  const names = Object.entries(active).map(([name, fault]) => `${name} ${JSON.stringify(fault)}`);
  return `${escapeToOneLine(`${service}: ${names.length === 0 ? 'no faults' : names.join(', ')}`)}\n`;
}

/**
 * Returns the values of the words by path: `loss=0.2`, `delay.time=50ms`, or short `delay=50ms±10ms@0.5`, where `±`
 * gives the jitter and `@` the probability. The daemon checks the values. Throws `ARGUMENT_INVALID`.
 */
export function readWords(words: readonly string[]): Readonly<Record<string, string>> {
  if (words.length === 0) throw invalid('name the faults, such as loss=0.2, or off');
  if (words.length === 1 && words[0] === 'off') return {};
  const values = new Map<string, string>();
  for (const [path, text] of words.flatMap(readWord)) {
    if (values.has(path)) throw invalid(`${path} is given twice`);
    values.set(path, text);
  }
  return Object.fromEntries(values);
}

function readWord(word: string): readonly (readonly [path: string, text: string])[] {
  const [, path = '', text = ''] = /^([a-zA-Z]+(?:\.[a-zA-Z]+)?)=(\S+)$/.exec(word) ?? [];
  if (path === '') throw invalid(`${JSON.stringify(word)} is not FAULT=VALUE, such as loss=0.2 or delay=50ms±10ms`);
  // The daemon takes it for the time, like the option.
  if (path === 'for') throw invalid('for is no fault: give the time as --for 5m');
  const isCut = path === 'closeAfter' || path === 'resetAfter';
  if (!isCut && !Object.hasOwn(amounts, path)) return [[path, text]];
  const isDelay = path === 'delay';
  const { amount, jitter, probability } = (isDelay ? delayText : amountText).exec(text)?.groups ?? {};
  if (amount === undefined) {
    const format = isDelay ? 'TIME±JITTER@PROBABILITY' : 'VALUE@PROBABILITY';
    throw invalid(`${JSON.stringify(word)} is not ${path}=${format}, of which all but the first may be left out`);
  }
  const key = isCut ? (parseDuration(amount) === undefined ? 'size' : 'time') : (amounts[path] ?? '');
  return [
    [`${path}.${key}`, amount],
    ...(jitter === undefined ? [] : [[`${path}.jitter`, jitter] as const]),
    ...(probability === undefined ? [] : [[`${path}.probability`, probability] as const]),
  ];
}

function invalid(message: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', message);
}
