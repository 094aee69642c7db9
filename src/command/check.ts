import { configToJson, printConfig } from '../config/print.ts';
import { shareOf } from '../guard/share.ts';
import type { LoadedConfig } from '../config/load.ts';
import { type ConfigOptions, prepare } from './prepare.ts';

/** `smallservd check`: the resolved config, as YAML that is itself a config, or as JSON. Throws what is wrong. */
export async function check(options: ConfigOptions & { readonly json?: true }): Promise<string> {
  const { source, loaded } = await prepare(options, true);
  if (options.json) return `${JSON.stringify(configToJson(loaded), null, 2)}\n`;
  return `# ${source.name}: correct. All of it, with the defaults:\n${printConfig(loaded)}${describeShares(loaded)}`;
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
