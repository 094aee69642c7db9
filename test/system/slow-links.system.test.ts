/** A reader behind a slow line, as a modem is. */
import { expect, it } from 'vitest';
import { Network, needs } from './machine.ts';
import { DaemonProgram, Program } from './program.ts';

needs('ip', 'nc');

const port = 1219;
/** More than the first window, at 1,200 bytes a second: the line takes longer than `stallTimeout`. */
const enoughBytes = 20_000;

it('a client on a line of 9,600 bit/s that reads all the time is not stalled', async () => {
  const [server, client] = [Network.make(), Network.make()];
  const { near } = server.join(client, ['192.0.2.1/24'], ['192.0.2.2/24']);
  const shape = ['qdisc', 'add', 'dev', near, 'root', 'tbf', 'rate', '9600bit', 'burst', '2000', 'latency', '60s'];
  expect(await new Program(server.inside(['tc', ...shape])).end()).toMatchObject({ code: 0 });
  const set = [`services.chargen.listen=tcp://*:${port}`, 'services.chargen.stallTimeout=8s'];
  const daemon = new DaemonProgram(
    set.flatMap((each) => ['--set', each]),
    (argv) => server.inside(argv),
  );
  await daemon.ready();
  const reading = new Program(client.inside(['nc', '-d', '192.0.2.1', String(port)]));
  await reading.until(() => reading.bytes.length >= enoughBytes, `${enoughBytes} bytes`, 120_000);
  expect(daemon.lines.filter(({ msg }) => msg === 'closed')).toEqual([]);
  reading.signal('SIGTERM');
  await reading.end();
});
