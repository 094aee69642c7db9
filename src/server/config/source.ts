import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SmallservdError } from '../../errors.ts';
import { prefix } from './environment.ts';
import { formatSize } from '../../units.ts';
import { configOfWords, type ServiceWords } from './service-words.ts';
import { FileError, maxFileBytes, readRegularFile } from '../../regular-file.ts';

/** Everything a config is made from. It must be cloneable, because workers receive it by IPC and load it again. */
export interface ConfigSource {
  /** The name shown in messages: the path that was read, `command line`, or `config` for an object. */
  readonly name: string;
  /** Absolute. Relative files and modules are resolved against it. */
  readonly directory: string;
  /** YAML; undefined if `tree` holds the config. */
  readonly text: string | undefined;
  /** A plain object instead of text. */
  readonly tree?: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Each is `key=value`. */
  readonly sets: readonly string[];
}

/** The same relative path from `src` and from `dist`. */
const shippedConfig = fileURLToPath(new URL('../../../config/smallservd.yaml', import.meta.url));

/** The config file name that means standard input. */
export const standardInput = '-';

/**
 * Reads a config file, standard input, or the shipped config if none is named. `directory` is where relative paths of a
 * config from standard input start. Only our own environment variables are kept. Throws `CONFIG_UNREADABLE`.
 */
export async function readConfigSource(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  sets: readonly string[],
  directory: string = process.cwd(),
): Promise<ConfigSource> {
  const isInput = file === standardInput;
  const name = isInput ? 'standard input' : (file ?? shippedConfig);
  const bytes = isInput ? await (input ??= readStandardInput(maxFileBytes)) : await readFile(name);
  return {
    name,
    directory: isInput ? directory : dirname(resolve(name)),
    text: decode(name, bytes),
    env: ownOf(env),
    sets: [...sets],
  };
}

/** The config that words of the command line stand for. Throws `ARGUMENT_INVALID`. */
export function sourceOfWords(
  words: ServiceWords,
  env: Readonly<Record<string, string | undefined>>,
  sets: readonly string[],
  directory: string = process.cwd(),
): ConfigSource {
  return {
    name: 'command line',
    directory,
    text: undefined,
    tree: configOfWords(words),
    env: ownOf(env),
    sets: [...sets],
  };
}

function ownOf(env: Readonly<Record<string, string | undefined>>): ConfigSource['env'] {
  return Object.fromEntries(Object.entries(env).filter(([variable]) => variable.startsWith(prefix)));
}

async function readFile(name: string): Promise<Uint8Array> {
  // A device, but commonly used to mean no file at all.
  if (name === '/dev/null') return new Uint8Array();
  try {
    return await readRegularFile(name, maxFileBytes);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new SmallservdError('CONFIG_UNREADABLE', `cannot read the config ${name}: ${cause.message}`, { cause });
  }
}

/** Standard input can be read only once, but a command may need its config twice. */
let input: Promise<Uint8Array> | undefined;

/** Reads standard input to its end. Throws `CONFIG_UNREADABLE` if that is more than `maxBytes`. */
export async function readStandardInput(maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes)
      throw new SmallservdError(
        'CONFIG_UNREADABLE',
        `cannot read standard input: it is larger than ${formatSize(maxBytes)}`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(name: string, bytes: Uint8Array): string {
  try {
    // In UTF-16 every other byte is 0, and no YAML has one.
    if (bytes.includes(0)) throw new TypeError('it contains a NUL character');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SmallservdError('CONFIG_UNREADABLE', `cannot read the config ${name}: it is not UTF-8 text`, { cause });
  }
}
