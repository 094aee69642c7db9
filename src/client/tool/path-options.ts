import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PathControls } from '../options.ts';
import { wholeNumberOption } from './option-values.ts';

/** The parsed options of `withPath`, `withSharedPath` and `withRoute`. */
export interface PathOptions {
  readonly source?: string;
  readonly sourcePort?: number;
  readonly interface?: string;
  readonly dscp?: number;
  readonly ttl?: number;
  readonly df?: true;
}

/** Adds `--source`, `--source-port`, `--interface`, `--dscp`, `--df` and `--ttl`. */
export function withPath(command: Command): Command {
  return withTtl(withRoute(withSourcePort(withSource(command))));
}

/** Like `withPath`, for tools that open many sockets: without `--source-port`. */
export function withSharedPath(command: Command): Command {
  return withTtl(withRoute(withSource(command)));
}

function withSource(command: Command): Command {
  return command.addOption(pathOption('--source <address>', 'send from this address of this machine'));
}

function withSourcePort(command: Command): Command {
  const port = pathOption('--source-port <number>', 'send from this port').argParser(wholeNumberOption(1, 65_535));
  return command.addOption(port);
}

function withTtl(command: Command): Command {
  return command.addOption(
    pathOption('-t, --ttl <n>', 'time to live (hop limit)').argParser(wholeNumberOption(1, 255)),
  );
}

/** Like `withPath`, for a tool that decides itself what may be fragmented: without `--df`. */
export function withProbePath(command: Command): Command {
  return withTtl(withClass(withSourcePort(withSource(command))));
}

/** Adds `--interface`, `--dscp` and `--df`. */
export function withRoute(command: Command): Command {
  return withClass(command).addOption(pathOption('--df', 'forbid fragmentation, by routers and by this machine'));
}

function withClass(command: Command): Command {
  const dscp = 'traffic class: ef, af41, cs5, le or another, or a number from 0 to 63';
  return command
    .addOption(pathOption('--interface <name>', 'send through this interface, regardless of routes'))
    .addOption(pathOption('--dscp <class>', dscp).argParser(dscpOption));
}

function pathOption(flags: string, description: string): Option {
  return new Option(flags, description).helpGroup('Path of the packets:');
}

/** Returns undefined if the command line leaves it all to the system. */
export function pathControls(options: PathOptions): PathControls | undefined {
  const { source, sourcePort, interface: name, dscp, ttl, df } = options;
  if ([source, sourcePort, name, dscp, ttl, df].every((each) => each === undefined)) return undefined;
  return { source, sourcePort, interface: name, dscp, ttl, dontFragment: df };
}

/** RFC 2474 (cs), RFC 2597 (af), RFC 3246 (ef), RFC 5865 (va) and RFC 8622 (le). */
const classes: ReadonlyMap<string, number> = new Map([
  ...Array.from({ length: 8 }, (_, index) => [`cs${index}`, index * 8] as const),
  ...[1, 2, 3, 4].flatMap((each) => [1, 2, 3].map((drop) => [`af${each}${drop}`, each * 8 + drop * 2] as const)),
  ['ef', 46],
  ['va', 44],
  ['le', 1],
]);

/** Parses a class or a number as a code point. */
export function dscpOption(text: string): number {
  const value = classes.get(text.toLowerCase()) ?? (/^\d{1,2}$/.test(text) ? Number(text) : Number.NaN);
  if (value <= 63) return value;
  throw new InvalidArgumentError('expected cs0 to cs7, af11 to af43, ef, va, le, or a number from 0 to 63');
}
