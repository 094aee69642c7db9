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
Each can listen on TCP, UDP or both, as the config says. tcpmux, finger and ident answer over TCP only. docs/CONFIG.md explains the options.
`;
}
