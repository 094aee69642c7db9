import type { Arguments } from './arguments.ts';
import { describeMachine } from './machine.ts';
import { measureMemory } from './memory.ts';
import { findNodes } from './nodes.ts';
import { openFilesAvailable, openFilesNeeded } from './open-files.ts';
import { measurePages } from './pages.ts';
import { listPeers, type Peer } from './peers.ts';
import { fullPlan, quickPlan } from './plan.ts';
import { chooseProcessors, pinThisProcess } from './processors.ts';
import { buildPrograms } from './programs.ts';
import { measureReload } from './reload.ts';
import type { MemoryResult, PagesResult, ReloadResult, Results, StartResult, WorkResult } from './results.ts';
import { measureWork } from './rounds.ts';
import { Server } from './server.ts';
import type { Setting } from './setting.ts';
import { measureStart } from './start.ts';
import { listVersions } from './versions.ts';
import { works } from './work.ts';

const mostClients = Math.max(...works.map(({ clients }) => clients));

/** Measures all that was asked for, as far as the machine and the time allow. `tell` gets a line for each step. */
export async function measureAll(args: Arguments, directory: string, tell: (line: string) => void): Promise<Results> {
  const startedMs = performance.now();
  const plan = args.quick ? quickPlan : fullPlan;
  const processors = chooseProcessors();
  pinThisProcess(processors.load);
  const programs = buildPrograms(directory);
  const found = findNodes(args.nodes);
  const nodes = args.quick ? found.nodes.slice(0, 1) : found.nodes;
  const peers = listPeers(programs, nodes).filter(({ family }) => !args.quick || family !== 'xinetd');
  const missing = [...found.missing, ...programs.missing];
  for (const line of missing) tell(line);
  const machine = describeMachine(processors, listVersions(programs, nodes));
  const openFiles = openFilesAvailable(openFilesNeeded(mostClients));
  const remarks: string[] = [];
  const setting: Setting = {
    plan,
    load: { program: programs.load, place: { processor: processors.load, openFiles } },
    serverPlace: { processor: processors.server, openFiles },
    directory,
    isOver: () => (performance.now() - startedMs) / 1000 > plan.limitSeconds,
    remark(text) {
      remarks.push(text);
      tell(text);
    },
  };

  /** Takes a step, unless it is not wanted or not possible. */
  async function step<T>(name: string, title: string, clients: number, take: () => Promise<T>): Promise<T | undefined> {
    if (args.only.length > 0 && !args.only.includes(name)) return undefined;
    if (openFilesNeeded(clients) > openFiles) {
      setting.remark(`not measured, it needs ulimit -Hn ${openFilesNeeded(clients)}: ${title}`);
      return undefined;
    }
    if (setting.isOver()) {
      setting.remark(`not measured, the time was over: ${title}`);
      return undefined;
    }
    tell(title);
    return take();
  }

  const worked: WorkResult[] = [];
  const reloads: Record<string, ReloadResult> = {};
  const servers: Server[] = [];
  try {
    for (const peer of peers) servers.push(await Server.start(peer, setting.serverPlace, directory));
    for (const work of works) {
      if (args.quick && !work.isQuick) continue;
      const result = await step(work.name, work.title, work.clients, () => measureWork(setting, work, servers));
      if (result !== undefined) worked.push(result);
    }
    for (const server of servers) {
      const { id, label, family } = server.peer;
      if (family !== 'smallservd' || !isSingle(server.peer)) continue;
      const result = await step('reload', `reload, ${label}`, 0, () => measureReload(setting, server));
      if (result !== undefined) reloads[id] = result;
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  const pages: Record<string, PagesResult> = {};
  for (const peer of peers.filter(({ family }) => family === 'smallservd').filter(isSingle)) {
    // Too long for a quick run.
    if (args.quick && !args.only.includes('pages')) break;
    const result = await step('pages', `open pages, ${peer.label}`, 0, () => measurePages(setting, peer));
    if (result !== undefined) pages[peer.id] = result;
  }
  const memory: Record<string, MemoryResult> = {};
  const starts: Record<string, StartResult> = {};
  for (const peer of peers.filter(isSingle)) {
    const started = await step('start', `start, ${peer.label}`, 0, () => measureStart(setting, peer));
    if (started !== undefined) starts[peer.id] = started;
    // xinetd would need a process for each client.
    if (peer.family === 'xinetd' || (args.quick && peer.family !== 'smallservd')) continue;
    const title = `memory, ${peer.label}`;
    const used = await step('memory', title, plan.idleClients, () => measureMemory(setting, peer));
    if (used !== undefined) memory[peer.id] = used;
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    command: commandOf(args),
    minutes: (performance.now() - startedMs) / 60_000,
    roundSeconds: plan.roundSeconds,
    machine,
    peers: peers.map(({ commands: _commands, ...name }) => name),
    works: worked,
    memory,
    starts,
    reloads,
    pages,
    missing,
    remarks,
  };
}

function commandOf({ quick, only }: Arguments): string {
  const options = [...(quick ? ['--quick'] : []), ...only.map((name) => `--only ${name}`)];
  return ['npm run bench', ...(options.length > 0 ? ['--', ...options] : [])].join(' ');
}

function isSingle({ workers }: Peer): boolean {
  return workers === undefined || workers === 1;
}
