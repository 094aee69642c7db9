import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, fixtures, isRunning, temporaryFolder } from '../support/daemon-process.ts';
import { TcpClient } from '../support/tcp.ts';
import { until } from '../support/wait.ts';

/** Descriptors of a worker: what node:cluster says to the primary, and the reports. */
const cluster = 3;
const reports = 4;

const said = { cmd: 'NODE_CLUSTER', seq: 99 };

const turncoat = { module: join(fixtures, 'turncoat.js'), listen: ['tcp://127.0.0.1:0'] };
const echo = { listen: ['tcp://127.0.0.1:0'] };

/**
 * What a worker says, to which descriptor, what is found wrong with it, and how often it says it. More of the kinds are
 * in test/unit/server/supervisor.
 */
const messages: readonly (readonly [what: string, descriptor: number, text: string, fault: RegExp, times?: number])[] =
  [
    ['services that are not a list', reports, line({ type: 'not-opened', services: 5 }), /^services: expected Array/],
    ['listeners that are not a list', reports, line({ type: 'ready', opened: 7 }), /^opened: expected Array/],
    ['a prototype', reports, '{"type":"loaded","__proto__":{"type":"ready"}}\n', /^__proto__: expected never/],
    [
      'JSON nested deeply enough to overflow the stack',
      reports,
      `${'['.repeat(400_000)}\n`,
      /not JSON|^type|^the report/,
    ],
    ['100 MB in one line', reports, 'x'.repeat(1_000_000), /more than \d+ bytes/, 100],
    [
      'the same report 1000 times',
      reports,
      line({ type: 'failed', code: 'LISTEN_FAILED', message: 'x' }),
      /more than 200 messages/,
      1000,
    ],
    ['a second ready report', reports, line({ type: 'ready', opened: [] }), /^type: unexpected "ready"/],
    [
      'an unsolicited report of opened listeners',
      reports,
      line({ type: 'opened', opened: [] }),
      /^type: unexpected "opened"/,
    ],
    [
      'a report that a service of another worker is not open',
      reports,
      line({ type: 'not-opened', services: ['echo'], code: 'LISTEN_FAILED', message: 'x' }),
      /^type: unexpected "not-opened"/,
    ],
    ['text other than JSON to node:cluster', cluster, 'hello\n', /not JSON/],
    ['100 MB to node:cluster', cluster, 'x'.repeat(1_000_000), /more than \d+ bytes/, 100],
    ['an acknowledgement of nothing', cluster, line({ cmd: 'NODE_HANDLE_ACK' }), /acknowledgement/],
    ['two disguised acknowledgements', cluster, '{"cmd":"NODE_HANDLE_\\u0041CK"}\n'.repeat(2), /acknowledgement/],
    ['a request without fields', cluster, line({ cmd: 'NODE_CLUSTER', act: 'queryServer' }), /./],
    ['a request for an unplanned port', cluster, line({ ...ask(), port: 81 }), /not its own/],
    ['a request without a port', cluster, line({ ...ask(), port: undefined }), /not its own/],
    ['a request for a descriptor', cluster, line({ ...ask(), fd: 10 }), /not its own/],
    ['a request for a listener that it already has', cluster, line(ask()), /a listener that it has/],
    ['too many requests', cluster, line(ask(2)), /more than 2 listeners/],
    [
      'a close of a listener that it does not have',
      cluster,
      line({ ...said, act: 'close', key: 'x' }),
      /does not have/,
    ],
    ['5000 messages', cluster, line({ ...said, act: 'online' }), /more than \d+ messages in a second/, 5000],
    ['a listener on a privileged port', reports, line(opened(22)), /^opened\.0: /],
  ];

describe('a worker that attacks its supervisor', () => {
  it.each(messages.map(([what, descriptor, text, fault, times = 1]) => ({ what, descriptor, text, fault, times })))(
    'is the only worker killed, and its fault is logged, when it sends $what',
    async ({ descriptor, text, fault, times }) => {
      const daemon = await DaemonProcess.serve({ workers: 2, services: { turncoat, echo } });
      const client = await TcpClient.connect(daemon.target('turncoat', 'tcp'));
      await until(() => client.text.endsWith('\n'), 'the process id');
      const pid = Number(client.text);
      client.socket.write(line({ descriptor, text, times }));

      const { worker, fault: found } = await daemon.line('worker sent an invalid report, killing it');
      expect(found).toMatch(fault);
      await daemon.line('worker exited, restarting', { worker, pid, signal: 'SIGKILL' });
      await daemon.line('worker ready again', { worker });
      expect(isRunning(daemon.pid)).toBe(true);
      expect(daemon.linesWith('worker exited, restarting')).toHaveLength(1);
      const next = await TcpClient.connect(daemon.target('echo', 'tcp'));
      next.socket.end('after');
      await until(() => next.ended, 'the end of an echo');
      expect(next.text).toBe('after');
      expect(await daemon.stop()).toBe(0);
    },
  );
});

describe('a worker that never reads from node:cluster', () => {
  it('is killed before unread answers fill the memory of the supervisor', async () => {
    // As long as a path can be, so that fewer requests come at once, in 64 KiB, than one worker may have listeners.
    const path = join(temporaryFolder(0o755), 't').padEnd(107, 'x');
    const both = { ...turncoat, listen: [...turncoat.listen, `unix://${path}`] };
    const shutdown = { grace: '0s' };
    // One of the workers has all of these; the other one may ask for as many.
    const many = { listen: Array.from({ length: 400 }, () => 'udp://127.0.0.1:0') };
    const daemon = await DaemonProcess.serve({ workers: 2, shutdown, services: { turncoat: both, echo: many } });
    const [other] = (await daemon.workers()).map(({ pid }) => pid).sort((a, b) => openFiles(a) - openFiles(b));
    let client: TcpClient | undefined;
    while (client === undefined) {
      // At once: both workers come to take some.
      const clients = Array.from({ length: 30 }, async () => TcpClient.connect(daemon.target('turncoat', 'tcp')));
      for (const each of await Promise.all(clients)) if (Number(await firstLine(each)) === other) client = each;
    }
    // The path is in use, so each answer is an error, which nobody has to acknowledge.
    const asking = { ...ask(), address: path, port: -1, addressType: -1 };
    const requests = Array.from({ length: 900 }, (_, turn) => line({ ...asking, index: turn + 1, seq: 1000 + turn }));
    client.socket.write(line({ descriptor: cluster, text: requests.join(''), times: 1, deaf: true }));
    const { fault } = await daemon.line('worker sent an invalid report, killing it');
    expect(fault).toBe('nothing that it was told is read');
    await daemon.line('worker ready again');
    expect(await daemon.stop()).toBe(0);
  });
});

describe('descriptors that a worker sends its supervisor', () => {
  const smuggler = { module: join(fixtures, 'smuggler.js'), listen: ['tcp://127.0.0.1:0'] };
  const online = line({ ...said, act: 'online' });
  const failed = line({ type: 'failed', code: 'LISTEN_FAILED', message: 'x' });

  it.each([
    ['to a file', { descriptor: cluster, file: '/dev/null', text: online, times: 100 }],
    ['of a kind unknown to Node', { descriptor: cluster, file: 'epoll', text: online, times: 100 }],
    ['along with a report', { descriptor: reports, file: '/dev/null', text: failed, times: 100 }],
  ])('%s are closed', async (_what, order) => {
    const daemon = await DaemonProcess.serve({ workers: 2, services: { smuggler, echo } });
    const client = await TcpClient.connect(daemon.target('smuggler', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'the process id');
    const worker = (await daemon.workers()).find(({ pid }) => pid === Number(client.text));
    const before = openFiles(daemon.pid);
    client.socket.write(JSON.stringify(order));
    // What it says next is heard after them: nothing of it is wrong but the descriptors, which nobody sees.
    await until(() => openFiles(worker?.pid ?? 0) > 0, 'the worker');
    await daemon.state();
    expect(openFiles(daemon.pid)).toBeLessThanOrEqual(before + 2);
    client.socket.destroy();
    expect(await daemon.stop()).toBe(0);
  });
});

describe('an orphaned child of a worker', () => {
  it('keeps no descriptor open in the supervisor', async () => {
    const mother = { module: join(fixtures, 'leaves-child.js'), listen: ['tcp://127.0.0.1:0'] };
    const daemon = await DaemonProcess.serve({ workers: 1, services: { mother, echo } });
    const client = await TcpClient.connect(daemon.target('mother', 'tcp'));
    await until(() => client.text.endsWith('\n'), 'the process ids');
    const [worker = 0, child = 0] = client.text.split(' ').map(Number);
    const before = openFiles(daemon.pid);
    try {
      process.kill(worker, 'SIGKILL');
      await daemon.line('worker ready again');
      expect(isRunning(child)).toBe(true);
      await until(() => openFiles(daemon.pid) <= before, 'the descriptors of the dead worker to be closed');
      expect(await daemon.stop()).toBe(0);
    } finally {
      process.kill(child, 'SIGKILL');
    }
  });
});

async function firstLine(client: TcpClient): Promise<string> {
  await until(() => client.text.endsWith('\n'), 'a line');
  return client.text;
}

function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function line(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

/** As the worker's own node:cluster asks for the listener of echo or of turncoat: the first time, under the index 0. */
function ask(index = 0): object {
  return { ...said, act: 'queryServer', index, data: null, address: '127.0.0.1', port: 0, addressType: 4, flags: 0 };
}

function opened(port: number): object {
  return { type: 'opened', opened: [{ id: 0, bound: { transport: 'tcp', address: '127.0.0.1', port } }] };
}
