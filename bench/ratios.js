// Compares smallservd with a bare Node server on the same Node, alternating, on one core: npm run bench [-- ROUNDS
// SECONDS]. Needs a C compiler for the load generator, and taskset. Prints medians and ratios. Ratios are taken within
// each round.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const rounds = Number(process.argv[2] ?? 12);
const seconds = Number(process.argv[3] ?? 1);
const here = fileURLToPath(new URL('.', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'smallservd-bench-'));
const load = join(folder, 'load');

/** The cases: the service, the arguments of the load generator, and the promised ratio. */
const cases = [
  { name: 'TCP echo, 64 connections, 64 bytes', service: 'echo', args: ['echo', '64', '64'], promised: 0.9 },
  { name: 'daytime connections, 64 at a time', service: 'daytime', args: ['connect', '64'], promised: 0.8 },
];

try {
  execFileSync('cc', ['-O2', '-Wall', '-o', load, join(here, 'load.c')], { stdio: 'inherit' });
  console.log(`Node ${process.version}, ${rounds} rounds of ${seconds} s each, server on CPU 0, load on CPU 1\n`);
  for (const each of cases) await compare(each);
} finally {
  rmSync(folder, { recursive: true });
}

async function compare({ name, service, args, promised }) {
  const servers = [await start('bare.js', service), await start('guarded.js', service)];
  const all = { rate: [], ratio: [], cpu: [], cpuRatio: [] };
  try {
    for (const server of servers) await measure(server, args, 3); // lets the compiler and the heap settle
    for (let round = 0; round < rounds; round += 1) {
      // Alternate which runs first, so that a machine that speeds up or slows down favors neither.
      const first = round % 2;
      const results = [];
      for (const index of [first, 1 - first]) results[index] = await measure(servers[index], args, seconds);
      const [bare, ours] = results;
      all.rate.push([bare.rate, ours.rate]);
      all.cpu.push([bare.cpu, ours.cpu]);
      all.ratio.push(ours.rate / bare.rate);
      all.cpuRatio.push(bare.cpu / ours.cpu);
    }
  } finally {
    for (const { child } of servers) child.kill();
  }
  const of = (pairs, which) => median(pairs.map((pair) => pair[which]));
  const verdict = median(all.ratio) >= promised ? 'holds' : 'BROKEN';
  console.log(name);
  console.log(`  bare        ${of(all.rate, 0).toFixed(0)}/s  ${of(all.cpu, 0).toFixed(1)} µs CPU each`);
  console.log(`  smallservd  ${of(all.rate, 1).toFixed(0)}/s  ${of(all.cpu, 1).toFixed(1)} µs CPU each`);
  console.log(`  throughput ratio ${spread(all.ratio)}, promised ${promised}: ${verdict}`);
  console.log(`  work per CPU second, ratio ${spread(all.cpuRatio)}\n`);
}

async function start(script, service) {
  const child = spawn('taskset', ['-c', '0', process.execPath, join(here, script), service], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = await once(child.stdout, 'data');
  return { child, port: String(port).trim() };
}

async function measure({ child, port }, [mode, connections, ...size], forSeconds) {
  const before = cpuSeconds(child.pid);
  const generator = spawn('taskset', ['-c', '1', load, mode, port, connections, String(forSeconds), ...size], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  generator.stdout.on('data', (text) => {
    output += text;
  });
  const [code] = await once(generator, 'close');
  if (code !== 0) throw new Error(`the load generator failed with ${code}`);
  const [done, took] = output.trim().split(' ').map(Number);
  return { rate: done / took, cpu: ((cpuSeconds(child.pid) - before) / done) * 1e6 };
}

/** Returns user and system time of a process: fields 14 and 15 of /proc/PID/stat, in hundredths of a second. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function spread(values) {
  return `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;
}
