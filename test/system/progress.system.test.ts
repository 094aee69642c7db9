/** The line of progress that each client tool shows on a terminal if it takes long. */
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { checkout, clientProgram, Network, needs } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('script', 'ip', 'nft');

/** The arguments, and what a line of progress has. */
const cases = [
  ['echo -q -c 20 -i 0.2 127.0.0.1:1201', /\r\d+ of 20 requests, 0% lost, \d\.\d\/s, last [\d.]+ ms, \ds left/],
  ['echo -q -c 10 -i 0.2 127.0.0.1:1201 [::1]:1201', /\r\d+ of 20 requests, 0% lost, \d+\.\d\/s, last/],
  ['echo -u -c 10 -i 0.2 --format smokeping 127.0.0.1:1201', /\r\d+ of 10 requests, 0% lost, \d\.\d\/s, last/],
  ['ping -q -c 10 -i 0.2 127.0.0.1', /\r\d+ of 10 requests, 0% lost, \d\.\d\/s, last [\d.]+ ms, \ds left/],
  ['ping -q -w 4 -i 0.5 127.0.0.1', /\r\d+ requests, 0% lost, \d\.\d\/s, last [\d.]+ ms, \ds left/],
  ['load -d 2 127.0.0.1:1201', /\r\[.*\] 1s of 2s {2}[\d,]+\/s {2}p99 /],
  ['discard --bytes 1GiB 127.0.0.1:1209', /\r\d+%, \d+s left, \d+ bytes in /],
  ['chargen --verify --bytes 300KiB 127.0.0.1:1219', /\r\d+%, \d+s left, \d+ bytes in /],
  ['conform 127.0.0.1 --base-port 1200 --services qotd,systat', /\r\d+ of \d+ checks, \d+s left/],
  ['probe -W 2 127.0.0.1:1200,2003 -r 2', /\r1 of 2 probes, 1 ok, \d\.\d\/s, \ds left/],
  ['mtu --tries 2 -W 3s 127.0.0.1:2003', /\rpacket \d: \d+ bytes, 1s so far/],
] as const;

/** A network in which nothing to port 2003 arrives. */
function makeNetwork(): Network {
  const network = Network.make();
  const rules = `add table inet filter
add chain inet filter input { type filter hook input priority 0; }
add rule inet filter input meta l4proto { tcp, udp } th dport 2003 drop`;
  const [command = '', ...args] = network.inside(['nft', rules]);
  execFileSync(command, args);
  return network;
}

it('is on a terminal, and goes away at the end', async () => {
  const network = makeNetwork();
  const slow = '--set=services.chargen.faults.rate.perSecond=100KiB';
  const daemon = new DaemonProgram([slow], (argv) => network.inside(argv));
  await daemon.ready();
  const runs = cases.map(async ([args, line]) => {
    const command = `exec ${clientProgram.join(' ')} ${args}`;
    const program = new Program(network.inside(['script', '--quiet', '--return', '--command', command, '/dev/null']), {
      directory: checkout,
      env: { TERM: 'xterm-256color' },
    });
    await program.end(60_000);
    // The line is empty when anything is printed after it.
    // oxlint-disable-next-line no-control-regex
    const isCleared = /.*\r\u001b\[K([^\r]|\r\n)*$/.test(program.output);
    return line.test(program.output) && isCleared ? [] : [[args, program.output]];
  });
  expect((await Promise.all(runs)).flat()).toEqual([]);
}, 120_000);
