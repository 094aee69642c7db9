import { configDifferences, formatDifference } from '../config/difference.ts';
import { configToJson, printConfig } from '../config/print.ts';
import { shareOf } from '../guard/share.ts';
import { loadConfig } from '../config/load.ts';
import type { LoadedConfig } from '../config/loaded-config.ts';
import { type AdminOptions, adminClient } from './admin.ts';
import { prepareAsUser } from './prepare.ts';

export interface CheckOptions extends AdminOptions {
  readonly json?: true;
  readonly diff?: true;
}

/** `smallservd check`: the resolved config, as YAML that is itself a config, or as JSON. Throws what is wrong. */
export async function check(options: CheckOptions): Promise<string> {
  // What only root may read of our own comes first: the check goes on as the user.
  const running = options.diff ? await (await adminClient(options)).config() : undefined;
  const { source, loaded } = await prepareAsUser(options);
  if (running !== undefined)
    // As the daemon has it: its workers alone know the options of modules.
    return diff(running, configToJson(await loadConfig(source, { importModules: false })), options);
  if (options.json) return `${JSON.stringify(configToJson(loaded), null, 2)}\n`;
  return `# ${source.name}: correct. All of it, with the defaults:\n${printConfig(loaded)}${describeShares(loaded)}`;
}

/** What a reload would change in the daemon that runs. */
function diff(running: unknown, next: unknown, options: CheckOptions): string {
  const differences = configDifferences(running, next);
  if (options.json) return `${JSON.stringify(differences, null, 2)}\n`;
  if (differences.length === 0) return 'a reload would change nothing\n';
  return differences.map((each) => `${formatDifference(each)}\n`).join('');
}

/** With several workers each enforces its part of the stream limits; the parts are rounded up. */
function describeShares({ config }: LoadedConfig): string {
  const { workers, services } = config;
  if (workers < 2) return '';
  const lines = services.map(({ name, stream }) => {
    const { maxConnections, maxConnectionsPerSource, connectionRate } = shareOf(stream, workers);
    const rate = `${connectionRate.perSecond}/s, burst ${connectionRate.burst}`;
    return `#   ${name}: maxConnections ${maxConnections}, maxConnectionsPerSource ${maxConnectionsPerSource}, connectionRate ${rate}\n`;
  });
  return `# Each of the ${workers} workers enforces its part of the stream limits:\n${lines.join('')}`;
}
