/** Attack 16: a config that is wrong, at the start and at a reload under load. */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { DaemonProcess, runToEnd, writeConfig } from '../support/daemon-process.ts';
import { Load } from '../support/load.ts';
import { freePort } from '../support/ports.ts';
import { type Bound, holds } from './figures.ts';
import { Regulars } from './regulars.ts';

const attack = 16;
const badConfig = 78;

interface Outcome {
  readonly code: number | NodeJS.Signals | null;
  /** Every message names `file:line:column`. */
  readonly namesPlace: boolean;
}

/** Ways to get a config wrong, from a slip to malice. `SERVICE` stands for an echo that is right. */
const wrongs: readonly string[] = [
  'workers: many\nservices: { echo: SERVICE }\n',
  'services: { echo: SERVICE, tiem: { listen: ["tcp://127.0.0.1:0"] } }\n',
  'services: { echo: SERVICE }\ndefaults: { idleTimout: 5m, stallTimeout: soon }\n',
  'services: { echo: SERVICE }\ndefaults: { allow: [300.0.0.0/8] }\n',
  'services: { echo: SERVICE }\nservices: { echo: SERVICE }\n',
  'services: [\n',
  'services: { echo: SERVICE }\n\tworkers: 2\n',
  'services: { echo: SERVICE, time: { listen: ["tcp://127.0.0.1:70000"] } }\n',
  'services: { echo: SERVICE, mine: { module: ./is-not-there.js, listen: ["tcp://127.0.0.1:0"] } }\n',
  // A few references that stand for a billion values.
  `${laughs(9)}services: { echo: SERVICE, more: *laugh8 }\n`,
  `services: { echo: SERVICE, more: ${'['.repeat(5000)}${']'.repeat(5000)} }\n`,
  'services: { echo: SERVICE }\nworkers: "\u001b[2J\\u001b[31m\\r\\n"\n',
  'just a text\n',
  '- a\n- list\n',
];

/** Starts the daemon with the first `count` of them. */
export async function startWithBadConfigs(count: number = wrongs.length): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const wrong of wrongs.slice(0, count)) {
    const file = writeConfig(withService(wrong, 'tcp://127.0.0.1:0'));
    const { code, stdout, stderr } = await runToEnd(['--config', file]);
    // Under root the workers find what is wrong with files, after the line that says that the start begins.
    expect(stdout).not.toContain('"msg":"ready"');
    outcomes.push({ code, namesPlace: namesPlace(stderr, file) });
  }
  show('at startup', outcomes);
}

/** Tries to reload with them under load, then with one that is right. */
export async function reloadBadConfigs(count: number = wrongs.length): Promise<void> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const listen = `tcp://127.0.0.1:${port}`;
  const admin = `tcp://127.0.0.1:${adminPort}`;
  const config = {
    workers: 2,
    admin: { listen: admin },
    log: { connections: 'off' },
    services: { echo: { listen: [listen] } },
  };
  const file = writeConfig(config);
  const daemon = DaemonProcess.spawn(['--config', file]);
  await daemon.line('ready');
  const workers = await daemon.workers();
  const target = { host: '127.0.0.1', port };
  const regulars = await Regulars.connect(target, 3);
  const load = new Load(target, 4);
  const outcomes: Outcome[] = [];
  for (const wrong of wrongs.slice(0, count)) {
    writeFileSync(file, withService(wrong, listen));
    const { code, stdout, stderr } = await runToEnd(['reload', '--admin', admin]);
    expect(stdout).toBe('');
    const [first, ...messages] = stderr.split(/^(?=smallservd: )/m);
    expect(first).toBe('smallservd: reload failed, keeping the running config:\n');
    outcomes.push({ code, namesPlace: messages.length > 0 && namesPlace(messages.join(''), file) });
  }
  expect(await daemon.workers()).toEqual(workers.map(({ pid }) => expect.objectContaining({ pid }) as unknown));
  writeFileSync(file, JSON.stringify(config));
  expect((await runToEnd(['reload', '--admin', admin])).code).toBe(0);
  await Promise.all([load.stop(), regulars.stop()]);
  expect(Math.min(load.answered, regulars.answered)).toBeGreaterThan(0);

  const when = 'reload under load';
  show(when, outcomes);
  const lost = load.failed + load.refused + regulars.asked - regulars.answered;
  holds(attack, `${when}: connections and requests lost`, lost, exactly(0));
  const failures = daemon.linesWith('reload failed, keeping the running config').length;
  holds(
    attack,
    `${when}: after each, the workers keep running with the previous config`,
    failures,
    exactly(outcomes.length),
  );
}

/** A valid config with so many services. */
function services(count: number): string {
  const lines = Array.from(
    { length: count },
    (_, index) => `  echo-${index}: { type: echo, listen: ["tcp://127.0.0.1:${1024 + index}"] }\n`,
  );
  return `services:\n${lines.join('')}`;
}

/** Checks configs that are large, right or wrong, and measures how long that takes. */
export async function checkLargeConfigs(): Promise<void> {
  const mebibyte = 2 ** 20;
  const unknownKeys = Array.from({ length: 80_000 }, (_, index) => `key${index}: ${index}\n`).join('');
  const large: readonly (readonly [what: string, text: string, code: number, bound: Bound])[] = [
    ['1,000 services', services(1000), 0, within(2)],
    ['10,000 services', services(10_000), 0, within(20)],
    ['1 MiB of unknown keys', unknownKeys.slice(0, mebibyte), badConfig, within(4)],
    ['1 MiB of reserved characters', '@\n'.repeat(mebibyte / 2), badConfig, within(4)],
    ['1 MiB of quotes', '"'.repeat(mebibyte), badConfig, within(4)],
  ];
  for (const [what, text, expected, bound] of large) {
    const file = writeConfig(text);
    const startedMs = performance.now();
    const { code, stderr } = await runToEnd(['check', '--brief', '--config', file]);
    holds(attack, `check of ${what}`, (performance.now() - startedMs) / 1000, bound);
    expect(code).toBe(expected);
    if (expected !== 0)
      holds(attack, `check of ${what}: lines of problems`, stderr.trimEnd().split('\n').length, { atMost: 101 });
  }
}

function show(when: string, outcomes: readonly Outcome[]): void {
  const all = exactly(outcomes.length);
  const named = outcomes.filter(({ namesPlace: isNamed }) => isNamed).length;
  const ended = outcomes.filter(({ code }) => code === badConfig).length;
  holds(attack, `${outcomes.length} bad configs, ${when}: exit code ${badConfig}`, ended, all);
  holds(attack, `${outcomes.length} bad configs, ${when}: messages with file:line:column`, named, all);
}

/** Whether there are messages, and each begins with a place in the file. */
function namesPlace(messages: string, file: string): boolean {
  const lines = messages.trimEnd().split(/\n(?=smallservd: )/);
  return lines.every(
    (line) => line.startsWith(`smallservd: ${file}:`) && /^\d+:\d+[: ]/.test(line.slice(13 + file.length)),
  );
}

function withService(config: string, address: string): string {
  return config.replaceAll('SERVICE', `{ listen: [${JSON.stringify(address)}] }`);
}

/** YAML whose last anchor stands for ten to the power of `depth` values. */
function laughs(depth: number): string {
  const lines = Array.from({ length: depth }, (_, index) => {
    const each = index === 0 ? 'ha' : `*laugh${index - 1}`;
    return `laugh${index}: &laugh${index} [${Array.from({ length: 10 }, () => each).join(', ')}]\n`;
  });
  return lines.join('');
}

function within(seconds: number): Bound {
  return { atMost: seconds, unit: ' s', digits: 1, isTime: true };
}

function exactly(count: number): Bound {
  return { atLeast: count, atMost: count };
}
