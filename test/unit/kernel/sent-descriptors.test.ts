import { execFileSync } from 'node:child_process';
import { closeSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { requireLibc } from '../../../src/kernel/libc.ts';
import { bringsDescriptors, setAside } from '../../../src/kernel/sent-descriptors.ts';
import { AF_UNIX, SocketAddress } from '../../../src/kernel/socket-address.ts';
import { connectUnix, opened, refuseDescriptors } from '../../../src/kernel/sockets.ts';
import { streams } from '../../../src/kernel/streams.ts';
import { temporaryDirectory } from '../../support/daemon-process.ts';
import { expectedRefusal } from '../../support/descriptor-sender.ts';

const SOCK_STREAM = 1;

/**
 * Connects for each word, and sends a piece for each of its letters: a capital comes with a descriptor, `o` as an
 * urgent byte, `x` is long. `e` ends the connection. The others stay open, in the queue of the listener.
 */
const script = `
import array, socket, sys
control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
for word in sys.argv[2:]:
    client = socket.socket(socket.AF_UNIX)
    client.connect(sys.argv[1])
    for letter in word.strip("-"):
        if letter == "e":
            client.shutdown(socket.SHUT_WR)
            continue
        piece = letter.encode() * (50_000 if letter in "xX" else 3)
        flags = socket.MSG_OOB if letter in "oO" else 0
        client.sendmsg([piece], control if letter.isupper() else [], flags)`;

/** Accepts clients that have sent what the words say to a listener that does not refuse descriptors yet. */
function earlyClients(words: readonly string[]): readonly number[] {
  const path = join(temporaryDirectory(), 'socket');
  const libc = requireLibc();
  const listener = opened(AF_UNIX, SOCK_STREAM, (descriptor) => {
    const address = new SocketAddress().setPath(path);
    expect(libc.bind(descriptor, address.bytes, address.length[0] ?? 0)).toBe(0);
    expect(libc.listen(descriptor, 128)).toBe(0);
    // Credentials, a process and a label with each message: those are no descriptors to wait for.
    for (const name of [process.arch === 'ppc64' ? 20 : 16, 76, 34])
      libc.setsockopt(descriptor, 1, name, new Uint8Array(new Int32Array([1]).buffer), 4);
  });
  onTestFinished(() => closeSync(listener));
  execFileSync('python3', ['-c', script, path, ...words], { stdio: ['ignore', 'inherit', 'inherit'] });
  refuseDescriptors(listener);
  return words.map(() => {
    const client = streams().accept(listener);
    onTestFinished(() => closeSync(client));
    return client;
  });
}

const clean = ['-', 'a', 'ab', 'e', 'abe', 'o', 'oo', 'aob', 'oa', 'xxa', 'ae'];
const laden = ['A', 'aA', 'Aa', 'aAa', 'O', 'aO', 'oO', 'Oo', 'aOb', 'Oa', 'xA', 'xxA', 'xO', 'aAe', 'X', 'xX', 'AA'];

it.runIf(expectedRefusal() === '1')('tells which early clients bring descriptors, and reads nothing', () => {
  const words = [...clean, ...laden];
  const clients = earlyClients(words);
  const found = clients.map((client) => bringsDescriptors(client));
  expect(words.filter((_, index) => found[index])).toEqual(laden);
  // It asks once: they can send no more of them.
  expect(clients.filter((client) => bringsDescriptors(client))).toEqual([]);
  const [, a, ab, e] = clients as [number, number, number, number];
  expect([a, ab, e].map((client) => streams().receive(client))).toEqual([3, 6, 0]);
});

it('finds nothing in a client that never could', () => {
  const [client = -1] = earlyClients(['-']);
  refuseDescriptors(client);
  expect(bringsDescriptors(client)).toBe(false);
  expect(bringsDescriptors(1_000_000)).toBe(false);
});

it('sets many clients aside, which takes few descriptors, and their connections end', () => {
  const path = join(temporaryDirectory(), 'socket');
  const listener = opened(AF_UNIX, SOCK_STREAM, (descriptor) => {
    const address = new SocketAddress().setPath(path);
    requireLibc().bind(descriptor, address.bytes, address.length[0] ?? 0);
    requireLibc().listen(descriptor, 1);
  });
  onTestFinished(() => closeSync(listener));
  const before = readdirSync('/proc/self/fd').length;
  for (let count = 0; count < 900; count += 1) {
    const client = connectUnix(path);
    const accepted = streams().accept(listener);
    expect(setAside(accepted)).toBe(true);
    closeSync(accepted);
    expect(streams().receive(client)).toBe(0);
    closeSync(client);
  }
  expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(20);
});

it('says so where it cannot set one aside, and opens no more sockets each time', () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let count = 0; count < 50; count += 1) expect(setAside(1_000_000)).toBe(false);
  expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(20);
});
