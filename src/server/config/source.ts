import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SmallservdError } from '../../errors.ts';
import { FileError, maxFileBytes, readRegularFile } from '../../regular-file.ts';

/** All that a config is made from. It can be cloned: workers get it by IPC and load it again. */
export interface ConfigSource {
  /** As shown in messages: the path that it was read by, or `config` for an object. */
  readonly name: string;
  /** Absolute; relative files and modules are taken from here. */
  readonly directory: string;
  /** YAML; undefined where `tree` holds the config. */
  readonly text: string | undefined;
  /** For embedding: a plain object instead of text. */
  readonly tree?: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `key=value` each. */
  readonly sets: readonly string[];
}

/** Beside `src` and `dist` alike. */
const shippedConfig = fileURLToPath(new URL('../../../config/smallservd.yaml', import.meta.url));

/**
 * Reads a config file, or the shipped one where none is named. Of the environment only variables of ours are kept.
 * Throws `CONFIG_UNREADABLE`.
 */
export async function readConfigSource(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  sets: readonly string[],
): Promise<ConfigSource> {
  const name = file ?? shippedConfig;
  return {
    name,
    directory: dirname(resolve(name)),
    text: await readText(name),
    env: Object.fromEntries(Object.entries(env).filter(([variable]) => variable.startsWith('SMALLSERVD_'))),
    sets: [...sets],
  };
}

async function readText(name: string): Promise<string> {
  // A device, but a usual way to say: no file at all.
  if (name === '/dev/null') return '';
  let bytes: Uint8Array;
  try {
    bytes = await readRegularFile(name, maxFileBytes);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new SmallservdError('CONFIG_UNREADABLE', `cannot read the config ${name}: ${cause.message}`, { cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SmallservdError('CONFIG_UNREADABLE', `cannot read the config ${name}: it is not UTF-8 text`, { cause });
  }
}
