import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DaemonProcess, inOneProcess, root, temporaryDirectory } from '../support/daemon-process.ts';
import { activatedCommand, expectedRefusal } from '../support/descriptor-sender.ts';
import { unprivileged } from '../support/nobody.ts';
import { until } from '../support/wait.ts';

const asWeAre = [process.execPath, join(root, 'dist/smallservd.js')] as const;

const echo = { echo: { listen: ['fd://3'] } };
const admin = { admin: { listen: 'fd://3' }, services: { echo: { listen: ['tcp://127.0.0.1:0'] } } };
const hello = { text: 'hello', answer: /^hello$/ };
const livez = { text: 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n', answer: /^HTTP\/1\.1 200 / };

/** Who reads what the clients of an inherited listener send. The last two are the same where the tests are not root. */
const readers = [
  ['workers with sockets of the kernel', { workers: 2, sockets: 'kernel', services: echo }, hello, false],
  ['workers with sockets of Node', { workers: 2, sockets: 'node', services: echo }, hello, false],
  [
    'the only process, with sockets of the kernel',
    { ...inOneProcess, sockets: 'kernel', services: echo },
    hello,
    false,
  ],
  ['the only process, with sockets of Node', { ...inOneProcess, sockets: 'node', services: echo }, hello, false],
  ['the admin process', { workers: 1, ...admin }, livez, false],
  ['a supervisor without privileges', { workers: 1, ...admin }, livez, true],
] as const;

// Before Linux 6.16 nobody can refuse what they send.
it.runIf(expectedRefusal() === '1').each(readers)(
  'clients that connect to an inherited UNIX listener before the start cannot hold up %s by descriptors that they send',
  async (_, config, { text, answer }, isUnprivileged) => {
    const [path, results] = [join(temporaryDirectory(), 'listener'), join(temporaryDirectory(), 'results')];
    const { command = asWeAre, uid } = isUnprivileged ? unprivileged() : {};
    const at = { path, results, text, ...(uid !== undefined && { user: uid }) };
    const activated = activatedCommand(at, command);
    const daemon = await DaemonProcess.serve(config, { command: activated });
    await until(() => existsSync(results), 'what the clients received');
    expect(JSON.parse(readFileSync(results, 'utf8'))).toEqual(['', expect.stringMatching(answer), '']);
    expect(daemon.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
  },
);
