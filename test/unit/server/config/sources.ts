import { ConfigInvalidError } from '../../../../src/errors.ts';
import { type ConfigSource, loadConfig } from '../../../../src/server/config/load.ts';
import type { LoadedConfig } from '../../../../src/server/config/loaded-config.ts';

/** A source of YAML text, shown as `test.yaml`. */
export function sourceOf(text: string, more: Partial<ConfigSource> = {}): ConfigSource {
  return { name: 'test.yaml', directory: '/nonexistent', text, env: {}, sets: [], ...more };
}

export function load(text: string, more: Partial<ConfigSource> = {}): Promise<LoadedConfig> {
  return loadConfig(sourceOf(text, more), { importModules: true });
}

/** The lines that a config is refused with; none where it is accepted. */
export async function problemsOf(
  text: string,
  more: Partial<ConfigSource> = {},
  importModules = true,
): Promise<readonly string[]> {
  try {
    await loadConfig(sourceOf(text, more), { importModules });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    return error.message.split('\n');
  }
}
