#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { check } from './command/check.ts';
import type { ConfigOptions } from './command/prepare.ts';
import { run } from './command/run.ts';
import { describeServices } from './command/services.ts';
import { SmallservdError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { version } from './version.ts';

const configOption = ['-c, --config <file>', 'the config to use; without it the shipped one'] as const;
const setOption = ['--set <key=value>', 'set a value of the config; may be repeated'] as const;

const examples = `
Options of run and check:
${[configOption, setOption].map(([flags, text]) => `  ${flags.padEnd(21)}${text}\n`).join('')}
Examples:
  smallservd                                        the shipped config: localhost, ports 1200 to 1237
  smallservd --config /etc/smallservd.yaml          a config of your own
  smallservd --set services.echo.idleTimeout=1m     one value, over file and environment
  smallservd --set log.level=debug --set workers=0  all in one process, with more to read
  smallservd check --config new.yaml                what is wrong in it, or what it means in full
  smallservd check --json | jq .services.echo

Signals: TERM and INT stop gracefully, a second one at once; QUIT stops at once; HUP reopens the log file; USR2 logs the state.
Exit codes: 0 stopped, 1 failed, 64 usage, 70 workers keep dying, 77 not permitted, 78 bad config.`;

const program = new Command('smallservd')
  .description(
    'The daemon for the classic IETF services, over TCP and UDP: echo, discard, chargen, qotd, systat, daytime, time.',
  )
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .addHelpText('after', examples)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(`smallservd: ${text.replace(/^error: /, '')}`) })
  .showHelpAfterError('Try: smallservd --help');

withConfig(program.command('run', { isDefault: true }).description('serve until told to stop (the default)'))
  // A command that is none of ours ends up here, too.
  .allowExcessArguments()
  .action(async (options: ConfigOptions, { args }: Command) => {
    if (args.length > 0) program.error(`error: unknown command '${args.join(' ')}': expected run, check or services`);
    // Exits even where a log reader that stalls still holds a line.
    process.exit(await run(options).catch(report));
  });
withConfig(program.command('check').description('check a config whole and print what it means, with the defaults'))
  .option('--json', 'print JSON instead of YAML')
  .action(async (options: ConfigOptions & { json?: true }) => {
    print(await check(options));
  });
program
  .command('services')
  .description('list the services that are built in, with their RFC, port and options')
  .action(() => {
    print(describeServices());
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Who reads standard output may have seen enough, and have gone. */
function print(text: string): void {
  process.stdout.on('error', () => process.exit()).write(text);
}

function withConfig(command: Command): Command {
  return command.option(...configOption).option(...setOption, collect, []);
}

function collect(value: string, all: readonly string[]): readonly string[] {
  return [...all, value];
}

/** Says on standard error what went wrong, and returns the exit code for it. */
function report(error: unknown): number {
  // Commander has already written its message; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.stopped : exitCodes.usage;
  if (error instanceof SmallservdError) {
    const lines = error.message.split('\n').map((line) => `smallservd: ${line}\n`);
    process.stderr.write(lines.join(''));
    return error.exitCode;
  }
  process.stderr.write(`smallservd: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCodes.failed;
}
