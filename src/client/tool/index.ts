import { chargenTool } from './chargen.ts';
import { conformTool } from './conform.ts';
import { daytimeTool } from './daytime.ts';
import { discardTool } from './discard.ts';
import { echoTool } from './echo.ts';
import { headTool } from './head.ts';
import { ipTool } from './ip.ts';
import { loadTool } from './load.ts';
import { lookupHostTool } from './lookup-host.ts';
import { lookupPortTool } from './lookup-port.ts';
import { lookupProtocolTool } from './lookup-protocol.ts';
import { maskTool } from './mask.ts';
import { mtuTool } from './mtu.ts';
import { pingTool } from './ping.ts';
import { probeTool } from './probe.ts';
import { qotdTool } from './qotd.ts';
import { resolveTool } from './resolve.ts';
import { stampTool } from './stamp.ts';
import { systatTool } from './systat.ts';
import { timeTool } from './time.ts';
import type { Tool } from './tool.ts';

/** All subcommands of smallserv, in the order of the help. */
export const tools: readonly Tool[] = [
  ipTool,
  maskTool,
  resolveTool,
  lookupHostTool,
  lookupPortTool,
  lookupProtocolTool,
  headTool,
  daytimeTool,
  timeTool,
  qotdTool,
  systatTool,
  chargenTool,
  discardTool,
  echoTool,
  pingTool,
  probeTool,
  stampTool,
  mtuTool,
  loadTool,
  conformTool,
];
