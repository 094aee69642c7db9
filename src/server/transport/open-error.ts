import { loopback } from '../../address/own-address.ts';
import { SmallservdError } from '../../errors.ts';
import { describeSystemError } from '../../system-error-text.ts';
import { formatBoundAddress, type ListenTarget } from './listener.ts';
import type { PlannedListener } from './plan.ts';

/** Whether opening failed because the machine lacks the address or its family. */
export function isFamilyMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT';
}

/** Whether opening failed because the machine lacks the address, or the interface in its zone. Both may come later. */
export function isAddressMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'EADDRNOTAVAIL' || code === 'ENODEV';
}

/** Converts a system error into one that names service, address, cause and remedy. */
export function openError({ service, text, target }: PlannedListener, cause: unknown): SmallservdError {
  const where = `${service}: cannot listen on ${describe(target, text)}`;
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new SmallservdError('LISTEN_IN_USE', `${where}: the address is in use by another program`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new SmallservdError('LISTEN_NOT_PERMITTED', `${where}: not permitted${waysOut(target)}`, { cause });
    case 'EADDRNOTAVAIL':
      return new SmallservdError('LISTEN_NOT_AVAILABLE', `${where}: ${whichIsMissing(target)}`, { cause });
    case 'EAFNOSUPPORT':
      return new SmallservdError('LISTEN_NOT_AVAILABLE', `${where}: this machine has no ${familyOf(target)}`, {
        cause,
      });
    case 'ENODEV':
      return new SmallservdError('LISTEN_NOT_AVAILABLE', `${where}: this machine does not have that interface`, {
        cause,
      });
    default:
      return new SmallservdError('LISTEN_FAILED', `${where}: ${describeSystemError(cause, 'listener')}`, { cause });
  }
}

function whichIsMissing(target: ListenTarget): string {
  if (!('port' in target)) return 'this machine does not have that address';
  if (target.address === loopback.ipv6) return 'this machine has no IPv6';
  const wayOut = target.freebind !== false ? '' : '. To listen before the address exists, set "freebind: true"';
  return `this machine does not have the address ${target.address} (ip address shows those that it has)${wayOut}`;
}

function familyOf(target: ListenTarget): string {
  if (!('port' in target)) return 'such address family';
  return target.address.includes(':') ? 'IPv6' : 'IPv4';
}

function describe(target: ListenTarget, text: string): string {
  if ('fd' in target) return `${text} (descriptor ${target.fd})`;
  if (target.transport === 'unix') return text;
  const address = formatBoundAddress(target);
  return address === text ? text : `${text} (${address})`;
}

function waysOut(target: ListenTarget): string {
  if (!('port' in target) || target.port === 0 || target.port >= 1024) return '';
  return [
    '. A port below 1024 needs one of:',
    '  - the capability: AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit, or setpriv --ambient-caps +net_bind_service',
    '  - low ports for everybody on this machine or in this container: sysctl net.ipv4.ip_unprivileged_port_start=0',
    '  - starting as root with "workers" above 0: the supervisor binds the ports, and the workers run as "user"',
  ].join('\n');
}
