import type { Tool } from './tool.ts';

/** In the order of the help. Loading all of them takes longer than Node takes to start, so a run loads one. */
const imports = new Map<string, () => Promise<Tool>>([
  ['ip', async () => (await import('./ip.ts')).ipTool],
  ['mask', async () => (await import('./mask.ts')).maskTool],
  ['resolve', async () => (await import('./resolve.ts')).resolveTool],
  ['lookup-host', async () => (await import('./lookup-host.ts')).lookupHostTool],
  ['lookup-port', async () => (await import('./lookup-port.ts')).lookupPortTool],
  ['lookup-protocol', async () => (await import('./lookup-protocol.ts')).lookupProtocolTool],
  ['head', async () => (await import('./head.ts')).headTool],
  ['daytime', async () => (await import('./daytime.ts')).daytimeTool],
  ['time', async () => (await import('./time.ts')).timeTool],
  ['qotd', async () => (await import('./qotd.ts')).qotdTool],
  ['systat', async () => (await import('./systat.ts')).systatTool],
  ['chargen', async () => (await import('./chargen.ts')).chargenTool],
  ['discard', async () => (await import('./discard.ts')).discardTool],
  ['echo', async () => (await import('./echo.ts')).echoTool],
  ['ping', async () => (await import('./ping.ts')).pingTool],
  ['probe', async () => (await import('./probe.ts')).probeTool],
  ['stamp', async () => (await import('./stamp.ts')).stampTool],
  ['mtu', async () => (await import('./mtu.ts')).mtuTool],
  ['load', async () => (await import('./load.ts')).loadTool],
  ['conform', async () => (await import('./conform.ts')).conformTool],
]);

/** The names of all subcommands of smallserv. */
export const toolNames: readonly string[] = [...imports.keys()];

/** Loads the subcommand of this name, or all if there is none. */
export async function loadTools(name?: string): Promise<readonly Tool[]> {
  const one = name === undefined ? undefined : imports.get(name);
  return Promise.all((one === undefined ? [...imports.values()] : [one]).map(async (load) => load()));
}
