import { expect, it } from 'vitest';
import { answerOf, askFor, Crowd } from '../support/admin-crowd.ts';
import { DaemonProcess, inOneProcess } from '../support/daemon-process.ts';
import { freePort } from '../support/ports.ts';

const services = Object.fromEntries(
  Array.from({ length: 200 }, (_, index) => [
    `echo-${index}`,
    { type: 'echo', listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0'] },
  ]),
);

const configs: readonly (readonly [what: string, config: object])[] = [
  ['with workers', { workers: 1 }],
  ['in one process', inOneProcess],
];

it.each(
  configs.flatMap(([what, config]) => ['/metrics', '/status', '/events'].map((path) => ({ what, config, path }))),
)(
  '$what: health probes are answered while a flood of clients asks for $path and does not read',
  async ({ config, path }) => {
    const target = { host: '127.0.0.1', port: await freePort() };
    await DaemonProcess.serve({ ...config, admin: { listen: `tcp://${target.host}:${target.port}` }, services });
    const crowd = new Crowd(target, { what: path, count: 8, act: askFor(path), comesBack: false, stay: 400 });
    await crowd.come();
    const answers: string[] = [];
    for (let probe = 0; probe < 20; probe += 1)
      answers.push(await answerOf(target, '/livez'), await answerOf(target, '/readyz'));
    crowd.leave();
    expect(answers).toEqual(answers.map(() => 'ok'));
  },
);
