import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DaemonProcess, root, runToEnd, temporaryDirectory } from '../support/daemon-process.ts';
import { readDefaults } from '../../src/server/config/reading.ts';
import { commonSchema, daemonSchema } from '../../src/server/config/schema.ts';
import { sectionOf } from '../../src/server/config/service-section.ts';
import { services } from '../../src/services/index.ts';
import { blocksOf, read } from '../repository/files.ts';
import { TcpClient } from '../support/tcp.ts';

describe('the whatismyip example', () => {
  it('is served with its own config', async () => {
    const set = 'services.whatismyip.listen=["tcp://127.0.0.1:0"]';
    const cwd = join(root, 'examples/whatismyip');
    const daemon = DaemonProcess.spawn(['--config', 'smallservd.yaml', '--set', set], { cwd });
    await daemon.line('ready');
    const client = await TcpClient.connect(daemon.target('whatismyip', 'tcp'));
    const { localPort } = client.socket;
    const answer = (await client.takeAll()).toString();
    client.finish();
    expect(answer.endsWith('\r\n')).toBe(true);
    expect(JSON.parse(answer)).toEqual({ family: 'ipv4', address: '127.0.0.1', port: localPort });
    expect(await daemon.stop()).toBe(0);
  });
});

describe('the package', () => {
  it('starts and closes a daemon inside the importing process', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules/smallservd'), 'dir');
    const script = join(directory, 'embeds.mjs');
    writeFileSync(
      script,
      `import { connect } from 'node:net';
       import { startDaemon, ConfigInvalidError } from 'smallservd';
       const daemon = await startDaemon({ services: { echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } } });
       const [tcp, udp] = daemon.listeners;
       const client = connect(tcp.port, tcp.address).end('embedded');
       let text = '';
       for await (const chunk of client) text += chunk;
       await daemon.close();
       const refused = await new Promise((resolve) => connect(tcp.port, tcp.address).on('error', ({ code }) => resolve(code)));
       const wrong = await startDaemon({ services: { echo: {} } }).catch((error) => error instanceof ConfigInvalidError);
       console.log(JSON.stringify({ services: [tcp.service, udp.service], udp: udp.transport, text, refused, wrong }));
      `,
    );
    const { code, stdout, stderr } = await runToEnd([], { command: [process.execPath, script], cwd: directory });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      services: ['echo', 'echo'],
      udp: 'udp',
      text: 'embedded',
      refused: 'ECONNREFUSED',
      wrong: true,
    });
    // Nothing of the daemon keeps the process alive.
    expect(code).toBe(0);
  });

  it('serves in a worker thread of the importing process, over the sockets of Node', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules/smallservd'), 'dir');
    const [thread, script] = ['thread.mjs', 'embeds.mjs'].map((name) => join(directory, name));
    if (thread === undefined || script === undefined) throw new Error('no names');
    writeFileSync(
      thread,
      `import { parentPort } from 'node:worker_threads';
       import { startDaemon } from 'smallservd';
       const services = { echo: { listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] } };
       const refused = await startDaemon({ sockets: 'kernel', services }).catch(({ message }) => message);
       const { listeners } = await startDaemon({ services });
       parentPort.postMessage({ listeners, refused });`,
    );
    writeFileSync(
      script,
      `import { once } from 'node:events';
       import { connect } from 'node:net';
       import { createSocket } from 'node:dgram';
       import { Worker } from 'node:worker_threads';
       import 'smallservd';
       const worker = new Worker(${JSON.stringify(thread)});
       const [{ listeners: [tcp, udp], refused }] = await once(worker, 'message');
       let text = '';
       for await (const chunk of connect(tcp.port, tcp.address).end('from a thread')) text += chunk;
       const socket = createSocket('udp4').bind(0, '127.0.0.1');
       socket.send('datagram', udp.port, udp.address);
       const [datagram] = await once(socket, 'message');
       socket.close();
       await worker.terminate();
       console.log(JSON.stringify({ text, datagram: String(datagram), refused }));`,
    );
    const { code, stdout, stderr } = await runToEnd([], { command: [process.execPath, script], cwd: directory });
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({
      text: 'from a thread',
      datagram: 'datagram',
      refused: 'sockets: kernel needs 64-bit Linux, the npm package koffi, and the main thread',
    });
  });

  it('has types that refuse a config with a misspelled key, and what the daemon cannot do', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules/smallservd'), 'dir');
    const lines = `
import { startDaemon, type Config, type ServiceModule } from 'smallservd';
interface Options { readonly word: string }
const mine: ServiceModule<Options> = {
  name: 'mine', summary: '', options: { word: { doc: 'A word.', format: 'string', default: 'hey' } },
  create: ({ word }) => ({ stream: (client) => client.end(Buffer.from(word)) }),
};
const listen = ['tcp://127.0.0.1:0'];
const config: Config = {
  workers: 'auto', user: null, log: { level: 'warn' }, defaults: { idleTimeout: '5m', maxBytes: 'unlimited' },
  services: {
    echo: { listen, exempt: [], receiveBuffer: 4096, faults: { loss: 0.5, delay: { time: '5ms' } }, maxConnections: undefined },
    qotd: { listen: 'tcp://127.0.0.1:0', file: null, choice: 'daily' },
    plans: { type: 'finger', listen, show: 'plans', plans: '/etc/plans' },
    finger: { type: 'daytime', listen, format: 'unix' },
    mine: { module: mine, listen, options: { word: 'ho' } },
    theirs: { module: './theirs.js', listen },
  },
};
await using daemon = await startDaemon(config);
daemon.faults('echo', { resetOnAccept: 1, rate: { perSecond: '8KiB' } });
daemon.faults('echo', undefined);
const sent: number = daemon.counters('echo').datagram.sent + (daemon.status().services['echo']?.stream.bytesOut ?? 0);
await daemon.close(sent);
await startDaemon({ services: { echo: { listen, idleTimout: '5m' } } }); // wrong
await startDaemon({ services: { echo: { listen, idleTimeout: '5 minutes' } } }); // wrong
await startDaemon({ services: { echo: { listen, idleTimeout: 5 } } }); // wrong
await startDaemon({ services: { echo: { listen, file: 'quotes' } } }); // wrong
await startDaemon({ services: { clock: { type: 'daytme', listen } } }); // wrong
await startDaemon({ services: { clock: { type: 'daytime', listen, format: 'roman' } } }); // wrong
await startDaemon({ services: { clock: { type: 'daytime', listen, show: 'users' } } }); // wrong
await startDaemon({ services: { finger: { type: 'daytime', listen, show: 'users' } } }); // wrong
await startDaemon({ services: { mine: { module: mine, type: 'echo', listen } } }); // wrong
await startDaemon({ services: { mine: { module: { name: 'mine' }, listen } } }); // wrong
await startDaemon({ services: { echo: { listen, faults: { los: 1 } } } }); // wrong
await startDaemon({ services: { echo: { listen, faults: { delay: { tme: '5ms' } } } } }); // wrong
await startDaemon({ services: { echo: { listen } }, worker: 2 }); // wrong
await startDaemon({ services: { echo: { listen } }, log: { levle: 'warn' } }); // wrong
await startDaemon({}); // wrong
daemon.faults('echo', { loss: '0.5' }); // wrong
daemon.faults('echo', { losss: 1 }); // wrong
export const status: { readonly services: object } = daemon.status();
`.split('\n');
    writeFileSync(join(directory, 'embeds.mts'), lines.join('\n'));
    const [shown] = blocksOf(read('docs/EMBEDDING.md'));
    expect(shown?.language).toBe('ts');
    writeFileSync(join(directory, 'shown.mts'), shown?.text ?? '');
    const options = services.map((module) => [module.name, readDefaults(sectionOf(module, true)).printed]);
    const { printed } = readDefaults(daemonSchema);
    const usual = { ...printed, defaults: readDefaults(commonSchema).printed, services: Object.fromEntries(options) };
    const typed = `import type { Config } from 'smallservd';\nexport const usual: Config = ${JSON.stringify(usual)};`;
    writeFileSync(join(directory, 'defaults.mts'), typed);
    const strict = ['--strict', '--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--noEmit'];
    const target = ['--target', 'es2023', '--module', 'nodenext', '--types', 'node'];
    const types = ['--typeRoots', join(root, 'node_modules/@types')];
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const command = [
      process.execPath,
      tsc,
      ...strict,
      ...target,
      ...types,
      'embeds.mts',
      'shown.mts',
      'defaults.mts',
    ] as const;
    const { stdout } = await runToEnd([], { command, cwd: directory });
    const refused = new Set(
      [...stdout.matchAll(/^(?!embeds)\S+|^embeds\.mts\((\d+),/gm)].map(([, line]) => Number(line)),
    );
    const wrong = lines.flatMap((line, index) => (line.endsWith('// wrong') ? [index + 1] : []));
    expect([...refused], stdout).toEqual(wrong);
  });
});
