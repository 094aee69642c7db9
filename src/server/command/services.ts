import { formatTable } from './table.ts';
import { services } from '../../services/index.ts';

/** `smallservd services`: lists the built-in services. */
export function describeServices(): string {
  const rows = services.map(({ name, rfc, port, summary, options }) => [
    name,
    rfc === undefined ? '–' : `RFC ${rfc}`,
    port === undefined ? '–' : String(port),
    Object.keys(options).join(', ') || '–',
    summary,
  ]);
  return `${formatTable(['service', 'document', 'port', 'options', 'what it does'], rows)}
Each listens over TCP and UDP where the config says so. docs/CONFIG.md explains the options.
`;
}
