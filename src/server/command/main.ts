/** The program smallservd: runs what the command line asks for. */
import { endOf } from '../../command-end.ts';
import { endedEarly, mustRunApart, runApart, successCode } from './apart.ts';
import type { CheckOptions } from './check.ts';
import { configVariable } from '../config/environment.ts';
import { daemonProgram } from './program.ts';
import { ConfigInvalidError, SmallservdError } from '../../errors.ts';
import { exitCodes } from '../../exit-codes.ts';
import { exitNow } from '../../kernel/exit.ts';
import { endWithOutput } from '../../output-error.ts';
import { abbreviate, escapeControls, formatJson } from '../../terminal-text.ts';

// An empty variable counts as unset, as all of ours do.
if (process.env[configVariable] === '') delete process.env[configVariable];

let isPrinting = false;

// Each command imports its own code only, since half the time that a short one takes is for importing.
const program = daemonProgram({
  print,
  complain,
  run: async (options) => {
    const { run } = await import('./run.ts');
    // Exit even if a stalled log reader still holds a line, or a thread waits for a dead file server.
    exitNow(await run(options).catch((error: unknown) => endOf(error, complain)));
  },
  check: async (options) => {
    if (mustRunApart()) process.exitCode = await runApart(options.config, { print, printError });
    else {
      const { check } = await import('./check.ts');
      print(await toItsEnd(check(options)).catch((error: unknown) => problemsAsJson(error, options)));
    }
    // If it failed, that is reported within this turn of the event loop.
    await new Promise<void>((resolve) => void process.stdout.write('', () => setImmediate(resolve)));
    // A module that was imported may have left timers and children that keep this process.
    exitNow(Number(process.exitCode ?? 0) || successCode);
  },
  reload: async (options) => {
    const { reload } = await import('./reload.ts');
    const { code, text } = await reload(options);
    if (code === exitCodes.stopped) print(text);
    else complain(text);
    process.exitCode = code;
  },
  status: async (options) => {
    const { status } = await import('./status.ts');
    process.exitCode = await status(options, print);
  },
  top: async (options) => {
    const { top } = await import('./top.ts');
    endIfUnread();
    process.exitCode = await top(options, process);
  },
  faults: async (service, words, options) => {
    const { changeFaults } = await import('./faults.ts');
    print(await changeFaults(service, words, options));
  },
  services: async () => {
    const { describeServices } = await import('./services.ts');
    print(describeServices());
  },
  importConfig: async (file, options) => {
    const { importConfig } = await import('./import.ts');
    print(await importConfig(file, options));
  },
  installService: async (options) => {
    const { installService } = await import('./install-service.ts');
    print(installService(options));
  },
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = endOf(error, complain);
  // The failure may have left a thread waiting for a dead file server.
  if (error instanceof SmallservdError) exitNow(process.exitCode);
}

/** Resolves as the check does. A module that ends this process before that makes it fail. */
async function toItsEnd<Value>(checking: Promise<Value>): Promise<Value> {
  process.on('exit', failEarly).on('beforeExit', failIdle);
  try {
    return await checking;
  } finally {
    process.off('exit', failEarly).off('beforeExit', failIdle);
    // A module may have set it.
    process.exitCode = undefined;
  }
}

function failEarly(code: number): void {
  if (code !== exitCodes.stopped) return;
  complain(endedEarly);
  process.exitCode = exitCodes.failed;
}

/** Nothing is left that could complete the check. */
function failIdle(): void {
  complain('a module of the config waits for something that will never happen');
  process.exit(exitCodes.failed);
}

/** All standard output goes through here, except that of `top`. Control characters are escaped for a terminal. */
function print(text: string): void {
  endIfUnread();
  process.stdout.write(process.stdout.isTTY ? escapeControls(text) : text);
}

/** Ends the process when its output cannot be written. Not for the daemon, which does not print and keeps running. */
function endIfUnread(): void {
  if (!isPrinting) endWithOutput(process, complain);
  isPrinting = true;
}

/** Writes to standard error, with control characters escaped. */
function printError(text: string): void {
  process.stderr.write(escapeControls(text));
}

/** Writes to standard error, each line prefixed with the program's name, with control characters escaped. */
function complain(message: string): void {
  const lines = abbreviate(message)
    .split('\n')
    .map((line) => `smallservd: ${escapeControls(line)}\n`);
  process.stderr.write(lines.join(''));
}

/** Returns the problems of a config as JSON if requested; otherwise throws the error. */
function problemsAsJson(error: unknown, { json }: CheckOptions): string {
  if (!json || !(error instanceof ConfigInvalidError)) throw error;
  process.exitCode = error.exitCode;
  const problems = error.problems.map(({ where, path, message }) => ({ where, path, message }));
  return formatJson({ problems, unreported: error.unreported });
}
