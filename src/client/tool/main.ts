/** Entry point of smallserv: runs the command line. */
import { Command, CommanderError } from 'commander';
import { endOf } from '../../command-end.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { exitNow } from '../../kernel/exit.ts';
import { isLookupPending } from '../lookup-host.ts';
import { failureOf } from './failure.ts';
import { loadTools } from './index.ts';
import { clientProgram } from './program.ts';
import { shippedPortHint } from './shipped-port.ts';
import { ProcessTerminal } from './terminal.ts';
import { type JsonOptions, printJson, printJsonLine, type Run } from './tool.ts';
import { wantsJson } from './wants-json.ts';

const words = process.argv.slice(2);
const tools = await loadTools(words[0]);
const terminal = new ProcessTerminal(process);
let exitCode: ExitCode = exitCodes.stopped;
const run: Run =
  (action) =>
  async (...args) => {
    const command: unknown = args.at(-1);
    if (command instanceof Command) terminal.target = hostOf(command);
    try {
      exitCode = (await action(...args)) ?? exitCodes.stopped;
    } catch (error) {
      if (command instanceof Command && asksForJson(command)) printFailure(error, command.name());
      exitCode = endOf(error, complain);
      const hint = command instanceof Command ? shippedPortHint(command.name(), args[0], error) : undefined;
      if (hint !== undefined) complain(hint);
    }
  };

try {
  await clientProgram(tools, terminal, run).parseAsync();
} catch (error) {
  // Help is not a failure.
  const isFailure = !(error instanceof CommanderError) || error.exitCode !== 0;
  if (isFailure && wantsJson(words)) printFailure(error, words[0]);
  exitCode = endOf(error, complain);
}
terminal.showProgress(undefined);
process.exitCode = exitCode;
if (isLookupPending()) {
  // If the output failed, that is reported within this turn of the event loop.
  await new Promise<void>((resolve) => void process.stdout.write('', () => setImmediate(resolve)));
  exitNow(exitCode);
}

/** Undefined if the tool takes none, or several. */
function hostOf({ registeredArguments: [first], args }: Command): string | undefined {
  return first?.name() === 'host' && (!first.variadic || args.length === 1) ? args[0] : undefined;
}

/** `--format json` of echo is `--json`. */
function asksForJson(command: Command): boolean {
  const { json, format } = command.opts<JsonOptions & { readonly format?: string }>();
  return json === true || format === 'json';
}

function complain(message: string): void {
  terminal.complain(message);
}

function printFailure(error: unknown, name: string | undefined): void {
  const failure = failureOf(error, terminal);
  if (tools.find((tool) => tool.name === name)?.jsonLines === true)
    printJsonLine(terminal, { type: 'summary', ...failure });
  else printJson(terminal, failure);
}
