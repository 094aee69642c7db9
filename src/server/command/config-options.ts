import { type ConfigSource, readConfigSource, sourceOfWords } from '../config/source.ts';
import type { ServiceWords } from '../config/service-words.ts';

/** Command-line options about the config. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set?: readonly string[];
  /** Instead of a config. */
  readonly words?: ServiceWords;
  /** Where relative paths of a config from standard input start; defaults to the current directory. */
  readonly directory?: string;
}

/** Throws `CONFIG_UNREADABLE`, or `ARGUMENT_INVALID` for wrong words. */
export async function readSource({ config, set = [], words, directory }: ConfigOptions): Promise<ConfigSource> {
  return words === undefined
    ? readConfigSource(config, process.env, set, directory)
    : sourceOfWords(words, process.env, set, directory);
}
