import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { Peers } from './peers.ts';
import { DaemonProgram } from './program.ts';

needs('ip', 'nc');

function ip(network: Network, ...args: readonly string[]): void {
  const [program = '', ...rest] = network.inside(['ip', ...args]);
  execFileSync(program, rest);
}

describe('a UDP address that is gone when its worker dies', () => {
  it('keeps its socket, and is served again once it is back', async () => {
    const network = Network.make();
    // A documentation address (RFC 5737), on the loopback interface of this network alone.
    ip(network, 'address', 'add', '192.0.2.9/32', 'dev', 'lo');
    const listen = ['tcp://127.0.0.1:1201', 'udp4://192.0.2.9:1201'].join(',');
    const daemon = new DaemonProgram(['--set', `services.echo.listen=${listen}`, '--set', 'workers=2'], (argv) =>
      network.inside(argv),
    );
    await daemon.ready();
    const peers = new Peers(network);
    expect(await peers.udpAnswer('192.0.2.9', 1201, 'before\n')).toBe('before\n');

    ip(network, 'address', 'delete', '192.0.2.9/32', 'dev', 'lo');
    daemon.signal('SIGUSR2');
    const { workers } = await daemon.line(({ msg }) => msg === 'state');
    // UDP sockets are dealt out by service: daytime's to the first worker, echo's to the second.
    const owner = (workers as { readonly worker: number; readonly pid: number }[]).find(({ worker }) => worker === 2);
    process.kill(owner?.pid ?? 0, 'SIGKILL');
    await daemon.workersBack(1);
    expect(await peers.tcp('127.0.0.1', 1201, 'meanwhile\n')).toBe('meanwhile\n');
    expect(daemon.lines.filter(({ msg }) => msg === 'worker exited, restarting')).toHaveLength(1);

    ip(network, 'address', 'add', '192.0.2.9/32', 'dev', 'lo');
    expect(await peers.udpAnswer('192.0.2.9', 1201, 'after\n')).toBe('after\n');
  });
});

describe('a service with an address family that this machine lacks', () => {
  it('is served on the other family, whichever worker owns the socket', async () => {
    const network = Network.make({ ipv6: false });
    const set = ['services.echo.listen=tcp6://localhost:1201,udp4://127.0.0.1:1201', 'workers=2'];
    const daemon = new DaemonProgram(
      set.flatMap((each) => ['--set', each]),
      (argv) => network.inside(argv),
    );
    await daemon.ready();
    expect(await new Peers(network).udpAnswer('127.0.0.1', 1201, 'here\n')).toBe('here\n');
  });
});
