import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../../src/clock/clock.ts';
import { exitCodes } from '../../../src/exit-codes.ts';
import { prepareServices } from '../../../src/server/service-context.ts';
import { InProcessDaemon } from '../../../src/server/in-process-daemon.ts';
import { socketAccessFor } from '../../../src/server/supervisor/socket-access.ts';
import { planListeners } from '../../../src/server/transport/plan.ts';
import { load } from './config/sources.ts';
import { LogLines, serve } from '../../support/daemon.ts';
import { TcpClient } from '../../support/tcp.ts';
import { within } from '../../support/wait.ts';

async function launch(services: string): Promise<{ daemon: InProcessDaemon; log: LogLines }> {
  const loaded = await load(`services: { ${services} }`);
  const lines = new LogLines();
  const log = pino({ formatters: { level: (level) => ({ level }) } }, lines);
  const daemon = new InProcessDaemon({
    config: loaded.config,
    services: await prepareServices(loaded, systemClock, Math.random, log, 1),
    plan: await planListeners(loaded.config, new Map(), socketAccessFor(null)),
    clock: systemClock,
    random: Math.random,
    log,
  });
  onTestFinished(async () => {
    await daemon.stop(0);
  });
  return { daemon, log: lines };
}

describe('InProcessDaemon', () => {
  it('ends with exit code 0 after stop', async () => {
    const { daemon } = await launch('echo: { listen: [tcp://127.0.0.1:0] }');
    await daemon.ready;
    expect(await within(daemon.stop(), 'the stop')).toBe(exitCodes.stopped);
    expect(await daemon.ended).toBe(exitCodes.stopped);
  });

  it('rejects a race of ready and ended if a port is in use', async () => {
    const other = await serve({ echo: { listen: ['tcp://127.0.0.1:0'] } });
    const { port } = other.target('echo', 'tcp');
    const { daemon } = await launch(`time: { listen: [udp://127.0.0.1:0, tcp://127.0.0.1:${port}] }`);
    const either = Promise.race([daemon.ready, daemon.ended]);
    await expect(within(either, 'either')).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    expect(await daemon.ended).toBe(exitCodes.failed);
    expect(await daemon.stop()).toBe(exitCodes.failed);
  });

  it('destroy closes everything at once, including clients, and may be called twice', async () => {
    const { daemon, log } = await launch('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    await daemon.ready;
    const client = await TcpClient.connect({ host: '127.0.0.1', port: daemon.listeners[0]?.port ?? 0 });
    client.write('x');
    await client.take(1);
    daemon.destroy();
    daemon.destroy();
    expect(await within(daemon.ended, 'the end')).toBe(exitCodes.stopped);
    await client.cut();
    expect(log.closed().map(({ reason }) => reason)).toEqual(['shutdown']);
  });

  it('destroy cuts the grace period of stop short', async () => {
    const { daemon } = await launch('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    await daemon.ready;
    const client = await TcpClient.connect({ host: '127.0.0.1', port: daemon.listeners[0]?.port ?? 0 });
    client.write('x');
    await client.take(1);
    const stopping = daemon.stop(3_600_000);
    daemon.destroy();
    expect(await within(stopping, 'the stop')).toBe(exitCodes.stopped);
  });

  it('stop works before the daemon is ready', async () => {
    const { daemon } = await launch('echo: { listen: [tcp://127.0.0.1:0, udp://127.0.0.1:0] }');
    expect(await within(daemon.stop(), 'the stop')).toBe(exitCodes.stopped);
  });

  it('logState writes listeners, clients and counters', async () => {
    const { daemon, log } = await launch('echo: { listen: [tcp://127.0.0.1:0] }');
    await daemon.ready;
    const port = daemon.listeners[0]?.port ?? 0;
    const client = await TcpClient.connect({ host: '127.0.0.1', port });
    client.write('x');
    await client.take(1);
    daemon.logState();
    const state = log.lines.find(({ msg }) => msg === 'state');
    expect(state).toMatchObject({
      level: 'info',
      listeners: [{ service: 'echo', address: `tcp://127.0.0.1:${port}` }],
      counters: { echo: { stream: { accepted: 1, active: 1 }, datagram: { received: 0 } } },
    });
  });
});
