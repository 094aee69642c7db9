import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  DaemonProcess,
  isRunning,
  root,
  runToEnd,
  temporaryDirectory,
  writeConfig,
} from '../support/daemon-process.ts';
import { unprivileged } from '../support/nobody.ts';
import { until } from '../support/wait.ts';

const config = {
  workers: 3,
  services: {
    echo: { listen: ['tcp://localhost:0', 'udp://localhost:0'], idleTimeout: '90s', maxConnectionsPerSource: 10 },
    'echo-lan': { type: 'echo', listen: ['tcp4://127.0.0.1:0'], allow: ['127.0.0.0/8'] },
    daytime: { listen: ['tcp://localhost:0'], format: 'nist' },
  },
};

describe('check', () => {
  it('prints the full config as YAML that loads as the same config', async () => {
    const first = await runToEnd(['check', '--config', writeConfig(config)]);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(parse(first.stdout)).toMatchObject({
      workers: 3,
      log: { level: 'info', file: null },
      services: { echo: { idleTimeout: '90s', maxConnections: 1000 }, daytime: { format: 'nist' } },
    });
    const again = join(temporaryDirectory(), 'again.yaml');
    writeFileSync(again, first.stdout);
    const second = await runToEnd(['check', '--config', again]);
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(second.stdout.split('\n').slice(1)).toEqual(first.stdout.split('\n').slice(1));
  });

  it('prints the same config as JSON', async () => {
    const file = writeConfig(config);
    const json = await runToEnd(['check', '--json', '--config', file]);
    const yaml = await runToEnd(['check', '--config', file]);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toEqual(parse(yaml.stdout));
  });

  // An enum means code, so no version of Node takes it out.
  it('says what to do about a module in TypeScript that Node does not run', async () => {
    const file = join(temporaryDirectory(0o755), 'mine.ts');
    writeFileSync(file, 'enum Style { Plain }\nexport default { style: Style.Plain };\n', { mode: 0o644 });
    const path = writeConfig({ services: { mine: { module: file, listen: ['tcp://127.0.0.1:0'] } } });
    const { code, stderr } = await runToEnd(['check', '--config', path]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/mine\.ts": Node v[\d.]+ does not run this TypeScript: compile it to JavaScript, or use /);
  });

  it('does not look for a package in the old global directories of Node', async () => {
    const home = temporaryDirectory();
    const directory = join(home, '.node_modules', 'global-service');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "exports": "./index.js" }');
    writeFileSync(join(directory, 'index.js'), 'export default {}');
    const file = writeConfig({ services: { mine: { module: 'global-service', listen: ['tcp://127.0.0.1:0'] } } });
    const { code, stderr } = await runToEnd(['check', '--config', file], { env: { HOME: home } });
    expect(code).toBe(78);
    expect(stderr).toContain(
      `"global-service": there is no package global-service in the node_modules of ${dirname(file)} or`,
    );
  });

  it('applies the environment, then --set', async () => {
    const args = ['check', '--json', '--config', writeConfig(config), '--set', 'services.echo.idleTimeout=45s'];
    const env = { SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT: '2m', SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT: '3m' };
    const { stdout } = await runToEnd(args, { env });
    expect(JSON.parse(stdout)).toMatchObject({
      services: { echo: { idleTimeout: '45s' }, 'echo-lan': { idleTimeout: '3m' } },
    });
  });

  it('prints only what differs from the defaults, which loads as the same config', async () => {
    const file = writeConfig(config);
    const brief = await runToEnd(['check', '--brief', '--json', '--config', file]);
    expect(brief).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(brief.stdout)).toEqual(config);
    const inFull = await runToEnd(['check', '--json', '--config', writeConfig(JSON.parse(brief.stdout) as object)]);
    expect(inFull.stdout).toBe((await runToEnd(['check', '--json', '--config', file])).stdout);
    const { stdout } = await runToEnd(['check', '--brief', '--config', file]);
    expect(stdout).toMatch(/^# .* is valid\. What differs from the defaults:\n/);
    expect(parse(stdout)).toEqual(config);
  });

  it('prints the JSON Schema regardless of the config', async () => {
    const { code, stdout } = await runToEnd(['check', '--schema', '--config', '/nonexistent']);
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(join(root, 'config/smallservd.schema.json'), 'utf8'));
  });

  it('prints errors as JSON', async () => {
    const file = writeConfig('workers: many\nservices: { echo: { listen: tcp://localhost:0 } }\n');
    const { code, stdout, stderr } = await runToEnd(['check', '--json', '--config', file, '--set', 'log.level=loud']);
    expect([code, stderr]).toEqual([78, '']);
    expect(JSON.parse(stdout)).toEqual({
      problems: [
        { where: `${file}:1:10`, path: 'workers', message: '"many" is not auto or a whole number from 0 to 256' },
        {
          where: '--set log.level',
          path: 'log.level',
          message: '"loud" is not one of debug, info, warn, error, silent',
        },
      ],
      unreported: 0,
    });
  });

  it('rejects --admin without --diff', async () => {
    const { code, stderr } = await runToEnd(['check', '--admin', 'tcp://localhost:9013']);
    expect({ code, stderr }).toEqual({
      code: 64,
      stderr: expect.stringMatching(/^smallservd: --admin needs --diff\n/) as string,
    });
  });

  it('reports the same errors as run', async () => {
    const file = writeConfig(
      'workers: many\nservices:\n  echo: { listen: [tcp://localhost:http/80], idleTimeout: 10 }\n',
    );
    const checked = await runToEnd(['check', '--config', file]);
    const run = await runToEnd(['run', '--config', file]);
    expect(checked.code).toBe(78);
    expect(checked.stdout).toBe('');
    expect(checked.stderr.trimEnd().split('\n').length).toBeGreaterThanOrEqual(3);
    expect(run).toMatchObject({ code: checked.code, stdout: '', stderr: checked.stderr });
  });

  it('accepts the shipped configs', async () => {
    for (const file of ['config/smallservd.yaml', 'config/well-known.yaml'])
      expect(await runToEnd(['check', '--config', file])).toMatchObject({ code: 0, stderr: '' });
  });
});

it.each(['--help', 'check', 'services', 'check --json'])(
  '%s exits quietly if standard output is closed',
  async (args) => {
    const command = DaemonProcess.spawn(args.split(' '), {}, false);
    command.hangUp();
    expect(await command.ended()).toBe(0);
    expect(command.stderr).toBe('');
  },
);

/** A config with a module of this text. */
function withModule(text: string): string {
  const file = join(temporaryDirectory(0o755), 'mine.mjs');
  writeFileSync(file, text, { mode: 0o644 });
  return writeConfig({ services: { mine: { module: file, listen: ['tcp://127.0.0.1:0'] } } });
}

function creating(code: string): string {
  return `export default { name: 'mine', summary: 'ends early', options: {}, create: async () => { ${code} } };`;
}

const modulesThatEndEarly: readonly (readonly [does: string, text: string, says: string])[] = [
  ['exits when it is imported', 'process.exit(0);', 'ended the check before it was complete'],
  ['exits when it is created', creating('process.exit();'), 'ended the check before it was complete'],
  ['is never created', creating('await new Promise(() => {});'), 'waits for something that will never happen'],
];

describe.each([
  ['whoever runs the tests', () => ({})],
  ['an unprivileged user', unprivileged],
])('check by %s', (_who, optionsOf) => {
  it.each(modulesThatEndEarly)('fails if a module %s', async (_does, text, says) => {
    expect(await runToEnd(['check', '--config', withModule(text)], optionsOf())).toEqual({
      code: 1,
      stdout: '',
      stderr: `smallservd: a module of the config ${says}\n`,
      lines: [],
    });
  });

  it('succeeds whatever exit code a module asks for', async () => {
    const file = withModule(creating('process.exitCode = 3; return { stream: () => {} };'));
    expect(await runToEnd(['check', '--config', file], optionsOf())).toMatchObject({ code: 0, stderr: '' });
  });
});

/** Runs a program that imports what is built. */
async function runProgram(text: string): Promise<{ code: unknown; stdout: string }> {
  const program = text.replace(/from '(.*)'/g, (_all, path: string) => `from ${JSON.stringify(`${root}dist/${path}`)}`);
  const command = [process.execPath, '--input-type=module', '--eval', program] as const;
  const { code, stdout } = await runToEnd([], { command });
  return { code, stdout };
}

const late = 'CHECK_ENDED the services did not come up within 30 s: a module or a file keeps them waiting\n';

describe('check in a separate process', () => {
  it('fails if a module exits past all handlers', async () => {
    const file = withModule(creating('process.reallyExit(0);'));
    const result = await runProgram(`
      import { runApart } from 'server/command/apart.js';
      process.argv = [process.execPath, 'smallservd', 'check', '--config', ${JSON.stringify(file)}];
      await runApart(undefined, { print() {}, printError() {} }).catch(({ code, message }) => console.log(code, message));
    `);
    const says = 'CHECK_ENDED a module of the config ended the check before it was complete\n';
    expect(result).toEqual({ code: 0, stdout: says });
  });

  it('is killed in an endless loop', async () => {
    const looping = creating(`(await import('node:fs')).writeSync(2, String(process.pid)); for (;;);`);
    const { code, stdout } = await runProgram(`
      import { runApart } from 'server/command/apart.js';
      import { systemClock } from 'clock/clock.js';
      process.argv = [process.execPath, 'smallservd', 'check', '--config', ${JSON.stringify(withModule(looping))}];
      let nowMs = 0;
      const tasks = new Set();
      const every = (ms, task) => {
        const periodic = { ms, task };
        tasks.add(periodic);
        return () => void tasks.delete(periodic);
      };
      const printError = (text) => {
        console.log(text);
        // What watches it stops when it has had enough.
        while (tasks.size === 2) {
          nowMs += 500;
          for (const { ms, task } of tasks) if (nowMs % ms === 0) task();
        }
      };
      const clock = { ...systemClock, monotonicMs: () => nowMs, every };
      await runApart(undefined, { print() {}, printError }, clock).catch(({ code, message }) => console.log(code, message));
    `);
    const [pid = '', ...lines] = stdout.split('\n');
    expect({ code, stdout: lines.join('\n') }).toEqual({ code: 0, stdout: late });
    await until(() => !isRunning(Number(pid)), 'the end of the loop');
  });
});

it('check in this process waits for a module for at most 30 seconds', async () => {
  const waiting = withModule(creating('globalThis.pass(30); await new Promise(() => {});'));
  const result = await runProgram(`
    import { prepareAsUser } from 'server/command/prepare.js';
    import { systemClock } from 'clock/clock.js';
    const tasks = [];
    const every = (ms, task) => {
      tasks.push(task);
      return () => console.log(ms);
    };
    globalThis.pass = (times) => {
      for (let time = 0; time < times; time += 1) for (const task of tasks) task();
    };
    const config = ${JSON.stringify(waiting)};
    await prepareAsUser({ config }, { ...systemClock, every }).catch(({ code, message }) => console.log(code, message));
    process.exit();
  `);
  expect(result).toEqual({ code: 0, stdout: `1000\n${late}` });
});

/** The services of the config that the environment names. */
async function namedBy(variable: string, ...args: readonly string[]): Promise<readonly string[]> {
  const env = { SMALLSERVD_CONFIG: variable };
  const { stdout } = await runToEnd(['check', '--brief', '--json', ...args], { env });
  return Object.keys((JSON.parse(stdout) as typeof config).services);
}

describe('a config from standard input or the environment', () => {
  const yaml = 'services: { echo: { listen: "tcp://127.0.0.1:0" } }\n';
  const fromInput = (): readonly [string, ...string[]] => [
    'sh',
    '-c',
    'exec "$@" < "$0"',
    writeConfig(yaml),
    process.execPath,
    join(root, 'dist/smallservd.js'),
  ];

  it('is read from standard input', async () => {
    const { code, stdout, stderr } = await runToEnd(['check', '--brief', '--json', '--config', '-'], {
      command: fromInput(),
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual({ services: { echo: { listen: ['tcp://127.0.0.1:0'] } } });
  });

  it('is named by SMALLSERVD_CONFIG unless that is empty or --config is given', async () => {
    const named = writeConfig(yaml.replace('echo', 'time'));
    expect(await namedBy(named)).toEqual(['time']);
    expect(await namedBy(named, '--config', writeConfig(yaml))).toEqual(['echo']);
    expect(await namedBy('')).toHaveLength(8);
  });

  it('is served by run but cannot be reloaded from standard input', async () => {
    const daemon = DaemonProcess.spawn(['run', '--config', '-', '--set', 'workers=1'], { command: fromInput() });
    expect(await daemon.line('starting')).toMatchObject({ config: 'standard input' });
    await daemon.line('ready');
    daemon.signal('SIGHUP');
    expect(await daemon.line('reload failed, keeping the running config')).toMatchObject({
      errors: ['a config from standard input cannot be read again: start with --config FILE to be able to reload'],
    });
    expect(await daemon.stop()).toBe(0);
  });
});
