import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, inOneProcess, runToEnd, temporaryDirectory, writeConfig } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';
import { TcpClient } from '../support/tcp.ts';
import { UdpClient } from '../support/udp.ts';
import { until } from '../support/wait.ts';

interface EchoCounters {
  readonly datagram: { readonly received: number; readonly sent: number; readonly faults: Record<string, number> };
}

/** What echo has counted, as of the last heartbeat. */
async function countersOf(daemon: DaemonProcess): Promise<EchoCounters> {
  const state = await daemon.state();
  return state.counters['echo'] as unknown as EchoCounters;
}

/** VmRSS of proc_pid_status(5). */
function residentBytesOf(pid: number): number {
  const [, kilobytes = '?'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

describe('faults', () => {
  const echo = { listen: ['udp://127.0.0.1:0'], faults: { loss: 0.5 } };

  /** Which of 200 datagrams a fresh daemon answers, by number: the first sixty. */
  async function answeredBy(workers: number, seed: number): Promise<string> {
    const config = { ...inOneProcess, workers, services: { echo: { ...echo, faults: { ...echo.faults, seed } } } };
    const daemon = DaemonProcess.spawn(['--config', writeConfig(config)]);
    await daemon.line('ready');
    const client = await UdpClient.open('127.0.0.1');
    const target = daemon.target('echo', 'udp');
    for (let index = 0; index < 200; index += 1) client.send(String(index), target);
    await until(() => client.replies.length > 60, 'some replies');
    const answered = client.replies.slice(0, 60).map(({ bytes }) => String(bytes));
    await daemon.stop();
    return answered.join();
  }

  it('are the same for the same seed, in another run, with any number of workers', async () => {
    const [first, ...others] = await Promise.all([0, 1, 2, 2].map(async (workers) => answeredBy(workers, 1)));
    expect(others).toEqual([first, first, first]);
    expect(await answeredBy(1, 2)).not.toBe(first);
  });

  it('come and go with a reload', async () => {
    const port = await freePort();
    const serving = (faults: object): object => ({
      workers: 2,
      services: { echo: { listen: [`udp://127.0.0.1:${port}`], faults } },
    });
    const file = writeConfig(serving({}));
    const daemon = DaemonProcess.spawn(['--config', file]);
    await daemon.line('ready');
    const client = await UdpClient.open('127.0.0.1');
    const target = { host: '127.0.0.1', port };
    expect(String(await client.ask('plain', target))).toBe('plain');
    const reload = async (faults: object, reloads: number): Promise<void> => {
      writeFileSync(file, JSON.stringify(serving(faults)));
      daemon.signal('SIGHUP');
      await until(() => daemon.linesWith('config reloaded').length === reloads, 'the reload');
    };
    await reload({ truncate: { size: 2 } }, 1);
    expect(String(await client.ask('cut', target))).toBe('cu');
    await reload({}, 2);
    expect(String(await client.ask('whole', target))).toBe('whole');
    expect(daemon.linesWith('faults enabled, service misbehaves on purpose')).toHaveLength(1);
  });

  it('hold back no more than their limits under a flood, and leave the service next to them alone', {
    timeout: 60_000,
  }, async () => {
    const unlimited = { perSecond: 1_000_000, burst: 1_000_000 };
    const defaults = { datagramRate: unlimited, datagramServiceRate: unlimited, maxConnectionsPerSource: 1000 };
    const services = {
      echo: {
        listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'],
        faults: { delay: { time: '1h' }, maxDelayed: { bytes: '1MiB' } },
      },
      other: { type: 'echo', listen: ['udp://127.0.0.1:0'] },
    };
    const daemon = await DaemonProcess.serve({ workers: 1, defaults, services, shutdown: { grace: '0s' } });
    const [worker] = await daemon.workers();
    const before = residentBytesOf(worker?.pid ?? 0);
    const client = await UdpClient.open('127.0.0.1');
    const payload = Buffer.alloc(8192, 'flood ');
    let received = 0;
    // Without limits, this would take more than 80 MB.
    while (received < 10_000) {
      for (let round = 0; round < 25; round += 1) {
        for (let index = 0; index < 100; index += 1) client.send(payload, daemon.target('echo', 'udp'));
        // Answered after all of these, so they have been read.
        await client.ask('alive', daemon.target('other', 'udp'));
      }
      received = (await countersOf(daemon)).datagram.received;
    }
    const { datagram } = await countersOf(daemon);
    expect(datagram.faults['maxDelayed']).toBe(datagram.received - 128);
    expect(datagram.sent).toBe(0);

    const clients = await Promise.all(
      Array.from({ length: 50 }, () => TcpClient.connect(daemon.target('echo', 'tcp'))),
    );
    for (const each of clients) each.write(Buffer.alloc(128 * 1024));
    await until(() => clients.some(({ closed }) => closed), 'a client without room');
    expect(String(await client.ask('still', daemon.target('other', 'udp')))).toBe('still');
    expect(residentBytesOf(worker?.pid ?? 0) - before).toBeLessThan(60 * 1024 * 1024);
    expect(await daemon.stop()).toBe(0);
  });
});

describe('smallservd faults', () => {
  const services = { echo: { listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'] } };

  async function serveWith(workers: number, mode: string): Promise<{ daemon: DaemonProcess; admin: string }> {
    const admin = `unix://${temporaryDirectory()}/admin.sock?mode=${mode}`;
    const daemon = await DaemonProcess.serve({ ...inOneProcess, workers, services, admin: { listen: admin } });
    return { daemon, admin };
  }

  it.each([0, 2])('changes the faults of a daemon with %d workers, for new clients and datagrams', async (workers) => {
    const { daemon, admin } = await serveWith(workers, '0600');
    const change = async (...words: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runToEnd(['faults', 'echo', ...words, '--admin', admin]);
      expect([code, stderr]).toEqual([0, '']);
      return stdout;
    };
    const client = await UdpClient.open('127.0.0.1');
    const ask = async (): Promise<string> => String(await client.ask('hello', daemon.target('echo', 'udp')));
    expect(await ask()).toBe('hello');

    expect(await change('truncate=2', 'resetAfter=3')).toBe(
      'echo: truncate {"probability":1,"bytes":2}, resetAfter {"probability":1,"timeMs":null,"bytes":3}\n',
    );
    await until(() => daemon.linesWith('faults changed on request').length === 1, 'the line');
    // Orders to workers are on their way.
    while ((await ask()) === 'hello') continue;
    const stream = await TcpClient.connect(daemon.target('echo', 'tcp'));
    stream.write('hello');
    await stream.cut();
    expect(stream.text).toBe('hel');

    if (workers > 0) {
      for (const { pid } of await daemon.workers()) process.kill(pid, 'SIGKILL');
      await until(() => daemon.linesWith('worker ready again').length === workers, 'new workers');
      expect(await ask()).toBe('he');
    }

    expect(await change('off')).toBe('echo: no faults\n');
    while ((await ask()) !== 'hello') continue;
    expect(await change('truncate=1', '--for', '300ms')).toContain('truncate');
    await daemon.line('requested faults expired, config applies again', { service: 'echo' });
    while ((await ask()) !== 'hello') continue;
  });

  it('is refused by a socket that others may use, and over TCP', async () => {
    const { admin } = await serveWith(0, '0660');
    const port = await freePort();
    const overTcp = `tcp://127.0.0.1:${port}`;
    const daemon = await DaemonProcess.serve({ ...inOneProcess, services, admin: { listen: overTcp } });
    for (const address of [admin, overTcp])
      expect(await runToEnd(['faults', 'echo', 'loss=1', '--admin', address])).toMatchObject({
        code: 1,
        stderr: `smallservd: ${address} changes nothing: to change faults, set admin.listen to unix:///PATH?mode=0600 and restart; TCP and inherited sockets are read-only\n`,
      });
    const client = await UdpClient.open('127.0.0.1');
    expect(String(await client.ask('hello', daemon.target('echo', 'udp')))).toBe('hello');
  });

  it('says what is wrong, and changes nothing', async () => {
    const { daemon, admin } = await serveWith(0, '0600');
    expect(await runToEnd(['faults', 'echo', 'loss=2', '--admin', admin])).toMatchObject({
      code: 64,
      stderr: 'smallservd: loss: "2" is not a number from 0 to 1, such as 0.05\n',
    });
    expect(daemon.linesWith('faults changed on request')).toEqual([]);
  });
});
