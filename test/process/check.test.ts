import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { DaemonProcess, runToEnd, temporaryFolder, writeConfig } from '../support/daemon-process.ts';

const config = {
  workers: 3,
  services: {
    echo: { listen: ['tcp://localhost:0', 'udp://localhost:0'], idleTimeout: '90s', maxConnectionsPerSource: 10 },
    'echo-lan': { type: 'echo', listen: ['tcp4://127.0.0.1:0'], allow: ['127.0.0.0/8'] },
    daytime: { listen: ['tcp://localhost:0'], format: 'nist' },
  },
};

describe('check', () => {
  it('prints the config in full, as YAML that is itself a config and means the same', async () => {
    const first = await runToEnd(['check', '--config', writeConfig(config)]);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(parse(first.stdout)).toMatchObject({
      workers: 3,
      log: { level: 'info', file: null },
      services: { echo: { idleTimeout: '90s', maxConnections: 1000 }, daytime: { format: 'nist' } },
    });
    const again = join(temporaryFolder(), 'again.yaml');
    writeFileSync(again, first.stdout);
    const second = await runToEnd(['check', '--config', again]);
    expect(second).toMatchObject({ code: 0, stderr: '' });
    expect(second.stdout.split('\n').slice(1)).toEqual(first.stdout.split('\n').slice(1));
  });

  it('prints it as JSON, which says the same', async () => {
    const file = writeConfig(config);
    const json = await runToEnd(['check', '--json', '--config', file]);
    const yaml = await runToEnd(['check', '--config', file]);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toEqual(parse(yaml.stdout));
  });

  it('prints what each worker enforces of the stream limits', async () => {
    const { stdout } = await runToEnd(['check', '--config', writeConfig(config)]);
    expect(stdout).toContain('# Each of the 3 workers enforces its part of the stream limits:\n');
    expect(stdout).toMatch(/^# {3}echo: maxConnections 334, maxConnectionsPerSource 4, connectionRate /m);
    const alone = await runToEnd(['check', '--config', writeConfig(config), '--set', 'workers=0']);
    expect(alone.stdout).not.toContain('enforces its part');
  });

  it('takes environment and --set into account, in this order', async () => {
    const args = ['check', '--json', '--config', writeConfig(config), '--set', 'services.echo.idleTimeout=45s'];
    const env = { SMALLSERVD_SERVICES__ECHO__IDLE_TIMEOUT: '2m', SMALLSERVD_SERVICES__ECHO_LAN__IDLE_TIMEOUT: '3m' };
    const { stdout } = await runToEnd(args, { env });
    expect(JSON.parse(stdout)).toMatchObject({
      services: { echo: { idleTimeout: '45s' }, 'echo-lan': { idleTimeout: '3m' } },
    });
  });

  it('says of a wrong config what run says', async () => {
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

  it('finds the shipped configs correct', async () => {
    for (const file of ['config/smallservd.yaml', 'config/well-known.yaml'])
      expect(await runToEnd(['check', '--config', file])).toMatchObject({ code: 0, stderr: '' });
  });
});

it.each(['--help', 'check', 'services', 'check --json'])('%s ends quietly where nobody reads it', async (args) => {
  const command = DaemonProcess.spawn(args.split(' '), {}, false);
  command.hangUp();
  expect(await command.ended()).toBe(0);
  expect(command.stderr).toBe('');
});
