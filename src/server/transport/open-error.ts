import { SmallservdError } from '../../errors.ts';
import { formatBoundAddress, type ListenTarget } from './listener.ts';
import type { PlannedListener } from './plan.ts';

const missing = 'this machine does not have that address';

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
  const { code, message } = cause as NodeJS.ErrnoException;
  const where = `${service}: cannot listen on ${describe(target, text)}`;
  if (code === 'EADDRINUSE')
    return new SmallservdError('LISTEN_IN_USE', `${where}: the address is in use by another program`, { cause });
  if (code === 'EACCES' || code === 'EPERM')
    return new SmallservdError('LISTEN_NOT_PERMITTED', `${where}: not permitted${waysOut(target)}`, { cause });
  if (isFamilyMissing(cause)) {
    const mayFreebind = code === 'EADDRNOTAVAIL' && 'port' in target && target.freebind === false;
    const wayOut = mayFreebind ? '. To listen before it does, set "freebind: true"' : '';
    return new SmallservdError('LISTEN_NOT_AVAILABLE', `${where}: ${missing}${wayOut}`, { cause });
  }
  if (code === 'ENODEV')
    return new SmallservdError('LISTEN_NOT_AVAILABLE', `${where}: this machine does not have that interface`, {
      cause,
    });
  return new SmallservdError('LISTEN_FAILED', `${where}: ${message}`, { cause });
}

/** The error for a service with no open listener because all were skipped. */
export function unservedError({ service, text }: PlannedListener): SmallservdError {
  const message = `${service}: cannot listen on ${text}: ${missing}`;
  return new SmallservdError('LISTEN_NOT_AVAILABLE', message);
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
