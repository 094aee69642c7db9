import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { blocksOf, read } from '../repository/files.ts';
import { checkout, childrenOf, Network, needs, temporaryDirectory } from './machine.ts';
import { DaemonProgram, kill, type Program, run } from './program.ts';

needs('promtool', 'ip');

const rules = join(checkout, 'deploy/prometheus/rules.yaml');

async function promtool(args: readonly string[], input = ''): Promise<Program> {
  return run(['promtool', ...args], { input });
}

it('promtool accepts the alert rules', async () => {
  const check = await promtool(['check', 'rules', rules]);
  expect(check.output).toMatch(/SUCCESS: \d+ rules found/);
  expect((await check.end()).code).toBe(0);
});

it('promtool accepts the scrape config of docs/KUBERNETES.md with the rules', async () => {
  const text = blocksOf(read('docs/KUBERNETES.md')).find(({ mark }) => mark === 'prometheus.yml')?.text ?? '';
  const config = parse(text) as { scrape_configs: { kubernetes_sd_configs?: object }[] };
  // Debian builds promtool without this discovery.
  for (const job of config.scrape_configs) delete job.kubernetes_sd_configs;
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'prometheus.yml'), stringify(config));
  copyFileSync(rules, join(directory, 'rules.yaml'));
  const check = await promtool(['check', 'config', join(directory, 'prometheus.yml')]);
  expect(check.complaints).toBe('');
  expect(check.output).toMatch(/1 rule files found[\s\S]*SUCCESS/);
  expect((await check.end()).code).toBe(0);
});

function series(name: string, values: string): object {
  return { series: name, values };
}

/** At that time there is no such alert. */
function silence(alertname: string, eval_time: string): object {
  return { eval_time, alertname, exp_alerts: [] };
}

/** At that time there is this one. */
function alert(alertname: string, eval_time: string, exp_labels: object, exp_annotations: object): object {
  return { eval_time, alertname, exp_alerts: [{ exp_labels, exp_annotations }] };
}

it('the alerts fire when they should and not before', async () => {
  const from = '{job="smallservd", instance="a"}';
  const origin = { job: 'smallservd', instance: 'a' };
  const tests = {
    rule_files: [rules],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: [
          series(`smallservd_ready${from}`, '1x10 0x20'),
          series(`smallservd_worker_deaths_total${from}`, '0x10 1 2 3 4 5 5x20'),
          series('smallservd_config_info{job="smallservd", instance="a", hash="1"}', '1x60'),
          series('smallservd_config_info{job="smallservd", instance="b", hash="2"}', '1x60'),
          series('smallservd_datagrams_received_total{job="smallservd", instance="a", service="echo"}', '0+6000x60'),
          series(
            'smallservd_datagrams_dropped_total{job="smallservd", instance="a", service="echo", reason="rate"}',
            '0+4000x60',
          ),
          series('smallservd_datagrams_received_total{job="smallservd", instance="a", service="time"}', '0+6000x60'),
          series(
            'smallservd_datagrams_dropped_total{job="smallservd", instance="a", service="time", reason="rate"}',
            '0+2000x60',
          ),
        ],
        alert_rule_test: [
          silence('SmallservdNotReady', '11m'),
          alert(
            'SmallservdNotReady',
            '15m',
            { ...origin, severity: 'critical' },
            {
              summary: 'smallservd on a accepts no clients, or not on all of its listeners',
              description: '`smallservd status` on it says why.',
            },
          ),
          silence('SmallservdWorkersDie', '10m'),
          alert(
            'SmallservdWorkersDie',
            '20m',
            { ...origin, severity: 'warning' },
            {
              summary: '5 workers of smallservd on a died within 15 minutes',
              description: 'The log has a line for each, with its exit code or signal.',
            },
          ),
          silence('SmallservdConfigsDiffer', '20m'),
          alert(
            'SmallservdConfigsDiffer',
            '40m',
            { job: 'smallservd', severity: 'warning' },
            { summary: 'the daemons of smallservd run 2 different configs' },
          ),
          alert(
            'SmallservdDropsDatagrams',
            '30m',
            { ...origin, service: 'echo', severity: 'warning' },
            {
              summary: 'echo on a drops more than half of its datagrams',
              description: 'Someone may be forging addresses. smallservd_datagrams_dropped_total has the reasons.',
            },
          ),
          silence('SmallservdReloadFailed', '30m'),
        ],
      },
    ],
  };
  const file = join(temporaryDirectory(), 'tests.yaml');
  writeFileSync(file, JSON.stringify(tests));
  const test = await promtool(['test', 'rules', file]);
  expect(test.output + test.complaints).toContain('SUCCESS');
  expect((await test.end()).code).toBe(0);
});

/** What runs a daemon with its default config. */
async function start(): Promise<{ readonly network: Network; readonly daemon: DaemonProgram }> {
  const network = Network.make();
  const daemon = new DaemonProgram(['--set', 'workers=2'], (argv) => network.inside(argv));
  await daemon.ready();
  return { network, daemon };
}

/** Prints the metrics. */
async function fetchMetrics(network: Network): Promise<string> {
  const fetch = "fetch('http://127.0.0.1:9013/metrics').then(async (answer) => console.log(await answer.text()))";
  return (await run(network.inside([process.execPath, '-e', fetch]))).output;
}

it('promtool accepts the /metrics output of a daemon that has served a client', async () => {
  const { network } = await start();
  const load = "const s = require('net').connect(1201, '127.0.0.1', () => s.end('x')); s.resume();";
  await run(network.inside([process.execPath, '-e', load]));
  const count = 'smallservd_handler_seconds_count{service="echo",transport="stream"}';
  let metrics = '';
  // It comes with the next report of the worker.
  while (!metrics.includes(count)) metrics = await fetchMetrics(network);
  expect(metrics).toContain('smallservd_ready 1\n');
  const check = await promtool(['check', 'metrics'], metrics);
  expect(check.output + check.complaints).toBe('');
  expect((await check.end()).code).toBe(0);
});

const ticksPerSecond = 100;
/** Of rounding, in both. */
const toleranceSeconds = 0.05;

/** CPU seconds of a process, see proc_pid_stat(5). */
function cpuOf(pid: number): Readonly<Record<'user' | 'system', number>> {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return { user: Number(fields[11]) / ticksPerSecond, system: Number(fields[12]) / ticksPerSecond };
}

function cpuIn(metrics: string, name: string, mode: string): number {
  const sample = `smallservd_process_cpu_seconds_total{process="${name}",mode="${mode}"} `;
  const line = metrics.split('\n').find((each) => each.startsWith(sample));
  return Number(line?.slice(sample.length));
}

it('the CPU time of each process is that of the kernel, and stays when its worker dies', async () => {
  const { network, daemon } = await start();
  const [admin, ...others] = childrenOf(daemon.pid).filter((pid) => !daemon.workers.includes(pid));
  expect(others).toEqual([]);
  const pids = {
    supervisor: daemon.pid,
    'worker-1': daemon.workers[0]!,
    'worker-2': daemon.workers[1]!,
    admin: admin!,
  };
  for (const [name, pid] of Object.entries(pids)) {
    for (const mode of ['user', 'system'] as const) {
      const least = cpuOf(pid)[mode] - toleranceSeconds;
      let seconds: number;
      // A worker reports once a second.
      do seconds = cpuIn(await fetchMetrics(network), name, mode);
      while (!(seconds > 0 && seconds >= least));
      expect(seconds).toBeLessThanOrEqual(cpuOf(pid)[mode] + toleranceSeconds);
    }
  }
  const before = cpuIn(await fetchMetrics(network), 'worker-1', 'user');
  kill(pids['worker-1'], 'SIGKILL');
  await daemon.workersBack(1);
  let after: number;
  do {
    after = cpuIn(await fetchMetrics(network), 'worker-1', 'user');
    expect(after).toBeGreaterThanOrEqual(before);
  } while (after < before + toleranceSeconds);
  // The new worker has another number.
  const memory = (await fetchMetrics(network)).matchAll(/^smallservd_resident_memory_bytes{process="(.*)"}/gm);
  expect([...memory].map(([, name]) => name)).toEqual(['supervisor', 'worker-1', 'worker-2']);
});
