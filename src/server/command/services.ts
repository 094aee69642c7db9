import { formatTable } from './table.ts';
import { services } from '../../services/index.ts';

/** `smallservd services`: lists the built-in services. */
export function describeServices(): string {
  const rows = services.map(({ name, rfc, port, transport, summary, options }) => [
    name,
    rfc === undefined ? '–' : `RFC ${rfc}`,
    port === undefined ? '–' : String(port),
    transport?.toUpperCase() ?? 'TCP, UDP',
    Object.keys(options).join(', ') || '–',
    summary,
  ]);
  return `${formatTable(['service', 'document', 'port', 'over', 'options', 'what it does'], rows)}
The config says where each listens. docs/CONFIG.md explains the options.
`;
}
