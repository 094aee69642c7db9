import { readFile } from 'node:fs/promises';
import { escapeToOneLine, formatJson } from '../../terminal-text.ts';
import { configDifferences, formatDifference } from '../config/difference.ts';
import { loadConfig } from '../config/load.ts';
import { printYaml, withoutDefaults } from '../config/print.ts';
import { type AdminOptions, adminClient } from './admin.ts';
import { prepareAsUser } from './prepare.ts';

export interface CheckOptions extends AdminOptions {
  readonly json?: true;
  readonly brief?: true;
  readonly diff?: true;
  readonly schema?: true;
}

/** The build copies it there from `config`, which another directory may replace. */
const schemaFile = new URL('../../smallservd.schema.json', import.meta.url);

/**
 * `smallservd check`: returns the resolved config, as YAML that is itself a config, or as JSON. Throws the problems.
 */
export async function check(options: CheckOptions): Promise<string> {
  if (options.schema) return readFile(schemaFile, 'utf8');
  // Read what only root may read first, because the check continues as the user.
  const running = options.diff ? await (await adminClient(options)).config() : undefined;
  const { source, loaded } = await prepareAsUser(options);
  if (running !== undefined)
    // Load it as the daemon does: only its workers know the options of modules.
    return diff(running, (await loadConfig(source, { importModules: false })).printed, options);
  const printed = options.brief ? withoutDefaults(loaded) : loaded.printed;
  if (options.json) return formatJson(printed);
  if (options.brief) return `# ${source.name} is valid. What differs from the defaults:\n${printYaml(printed)}`;
  return `# ${source.name} is valid. In full, with the defaults:\n${printYaml(printed)}`;
}

/** Describes what a reload would change in the running daemon. */
function diff(running: unknown, next: unknown, options: CheckOptions): string {
  const differences = configDifferences(running, next);
  if (options.json) return formatJson(differences);
  if (differences.length === 0) return 'no difference from the running config\n';
  // The endpoint may be anybody's.
  return differences.map((each) => `${escapeToOneLine(formatDifference(each))}\n`).join('');
}
