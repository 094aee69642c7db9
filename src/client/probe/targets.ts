import { formatHostPort } from '../../address/host-port.ts';
import { lookupServicePort, type ServicePortLookup } from '../../address/service-ports.ts';
import { SmallservdError } from '../../errors.ts';
import { parseHostAndPort, parsePort, type Target } from '../dial/target.ts';

export type ProbeTransport = 'tcp' | 'udp';

/** One port of one host. */
export interface ProbeTarget extends Target {
  readonly transport: ProbeTransport;
  /** `HOST:PORT`, with `/udp` after a UDP port. */
  readonly name: string;
}

/** Every port of one host, once. */
export const mostProbeTargets = 65_536;

/**
 * Parses `HOST:PORTS`, each with `/tcp` or `/udp` at its end if it is not `usual`. `PORTS` is a list of numbers,
 * ranges and names of services, such as `80,443,8000-8010`. Throws `ARGUMENT_INVALID`, also for more than
 * `mostProbeTargets`.
 */
export function parseProbeTargets(
  texts: readonly string[],
  usual: ProbeTransport,
  lookupPort: ServicePortLookup = lookupServicePort,
): readonly ProbeTarget[] {
  const targets: ProbeTarget[] = [];
  for (const text of texts) {
    const [, address = '', suffix] = /^(.*?)(?:\/(tcp|udp))?$/s.exec(text) ?? [];
    const transport = suffix === 'tcp' || suffix === 'udp' ? suffix : usual;
    const { host, port: ports } = parseHostAndPort(address);
    if (ports === undefined)
      throw invalid(text, `has no port: expected ${host.includes(':') ? `[${host}]` : host}:PORT`);
    for (const each of ports.split(',')) {
      for (const port of portsIn(each, text, transport, lookupPort)) {
        if (targets.length === mostProbeTargets) throw tooMany();
        const name = formatHostPort(host, port) + (transport === 'udp' ? '/udp' : '');
        targets.push({ host, port, transport, name });
      }
    }
  }
  return targets;
}

/** The ports of one element of a list. */
function portsIn(...[part, text, transport, lookupPort]: Parameters<typeof parsePort>): readonly number[] {
  const range = /^(\d+)-(\d+)$/.exec(part);
  if (range === null) return [parsePort(part, text, transport, lookupPort)];
  const [first, last] = [range[1] ?? '', range[2] ?? ''].map((port) => parsePort(port, text, transport)) as [
    number,
    number,
  ];
  if (first <= last) return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  throw invalid(text, `has the range ${part}: expected the lower port first, as in ${last}-${first}`);
}

function invalid(text: string, fault: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(text)} ${fault}`);
}

function tooMany(): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', `too many targets: expected at most ${mostProbeTargets}`);
}
