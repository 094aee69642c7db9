import { Command, Option } from 'commander';
import { usageMessage } from '../../command-end.ts';
import { addHelp, misplacedCommand } from '../../command-names.ts';
import { configVariable } from '../config/environment.ts';
import { SmallservdError } from '../../errors.ts';
import { version } from '../../version.ts';
import type { AdminOptions } from './admin.ts';
import type { CheckOptions } from './check.ts';
import type { ImportOptions } from './import.ts';
import { inetdDialects } from '../import/inetd-dialect.ts';
import type { InstallOptions } from './install-service.ts';
import type { ConfigOptions } from './config-options.ts';
import type { FaultsOptions } from './faults.ts';
import { colorChoices } from '../../color.ts';
import type { StatusOptions } from './status.ts';
import type { TopOptions } from './top.ts';

/** Implementations of the subcommands of smallservd. */
export interface DaemonActions {
  /** Writes text to standard output. */
  print(text: string): void;
  /** Writes lines to standard error, each prefixed with the program's name. */
  complain(message: string): void;
  run(options: ConfigOptions): Promise<void>;
  check(options: CheckOptions): Promise<void>;
  reload(options: AdminOptions): Promise<void>;
  status(options: StatusOptions): Promise<void>;
  top(options: TopOptions): Promise<void>;
  faults(service: string, words: readonly string[], options: FaultsOptions): Promise<void>;
  services(): Promise<void>;
  importConfig(file: string, options: ImportOptions): Promise<void>;
  installService(options: InstallOptions): Promise<void>;
}

const configOption = ['-c, --config <file>', 'config file, - for stdin; default: the shipped config'] as const;
const setOption = ['--set <key=value>', 'override a config key; repeatable'] as const;
const bindOption = ['--bind <address>', 'address to listen on; repeatable; default: all'] as const;
const exposeOption = ['--expose-udp', 'let services that can be abused over UDP listen on public addresses'] as const;

/** Of the first two options for reload, status, top and faults. */
const lookup = '; used only to find admin.listen';
const adminOption = ['--admin <address>', 'admin endpoint of the daemon; default: admin.listen of the config'] as const;

/** What to say to those who give the file without the option. */
const hint = 'name a config with --config FILE';

const examples = `
Options of run and check; reload, status, top and faults use the first two only to find admin.listen:
${[configOption, setOption, bindOption, exposeOption].map(([flags, text]) => `  ${flags.padEnd(21)}${text}\n`).join('')}
Examples:
  smallservd                                        the shipped config: localhost, ports 1200 to 1237 and 2062
  smallservd echo:9000 daytime:9013/tcp             these services, on all addresses, without a config
  smallservd --config /etc/smallservd.yaml          another config
  smallservd --set services.echo.idleTimeout=1m     one value changed
  smallservd --set log.level=debug --set workers=0  one process, verbose log
  smallservd check --config new.yaml                validate a config and print it in full
  smallservd check --brief                          print only what differs from the defaults
  smallservd check --brief echo:9000                print a config that serves this
  smallservd check --diff && smallservd reload      show what differs from the running config, then reload
  smallservd import /etc/inetd.conf > new.yaml      a config with the services of an inetd
  smallservd top                                    what the daemon does, live; ? lists the keys
  smallservd top --once | less                      the same once, for a script or a pager
  smallservd status --watch                         a line with clients and rates every second

Signals: TERM and INT stop gracefully. A second one, more than 1 s later, stops
at once, as does QUIT. HUP reloads the config. USR1 reopens the log file. USR2
logs the state.
Exit codes: 0 success (status: ready), 1 failed or not ready, 2 no daemon
answers, 64 wrong command line, 70 workers keep exiting, 77 not permitted,
78 invalid config.`;

/** The command line of smallservd. The manual and shell completion are also generated from it. */
export function daemonProgram(actions: DaemonActions): Command {
  const program = new Command('smallservd')
    .description(
      'The classic small services (echo, discard, chargen, qotd, systat, daytime, time), and stamp, tcpmux, finger, ident and envelope.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print the help text')
    .usage('[command] [options] [services...]')
    .addHelpText('after', examples)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => actions.print(text),
      outputError: (text) => actions.complain(misplaced(text) ?? ownMessage(text)),
    })
    .showHelpAfterError('Try: smallservd --help');
  const misplaced = (text: string): string | undefined =>
    text.includes('unknown option') ? misplacedCommand(program, program.args, 'command') : undefined;

  withServices(program.command('run', { isDefault: true }).description('run the daemon (the default)')).action(
    async (words: readonly string[], options: ServicesOptions, command: Command) => {
      const [first] = words;
      // An unknown command ends up here, too.
      if (first !== undefined && program.args[0] !== 'run' && !(await namesService(first)))
        program.error(misplacedCommand(program, [first], 'command') ?? unknownCommand(words.join(' ')));
      await actions.run(await named(words, options, command));
    },
  );
  withServices(program.command('check').description('validate a config and print it fully resolved'))
    .option('--json', 'print the config, or its problems, as JSON')
    .option('--brief', 'print only what differs from the defaults')
    .option('--schema', 'print the JSON Schema of the config instead')
    .option('--diff', 'print how this config differs from the one that the daemon is running')
    .option(...adminOption)
    .action(async (words: readonly string[], options: CheckOptions & ServicesOptions, command: Command) => {
      if (options.admin !== undefined && !options.diff) command.error('--admin needs --diff');
      await actions.check(await named(words, options, command));
    });
  withConfig(
    program.command('reload').description('make the daemon reload its own config file, and wait for the result'),
    lookup,
  )
    .option(...adminOption)
    .action((options: AdminOptions) => actions.reload(options));
  withConfig(program.command('status').description('print the state of the daemon; exit with 0 if it is ready'), lookup)
    .option('--json', 'print JSON')
    .option('--watch [interval]', 'print a line with clients and rates every second, or every INTERVAL, such as 5s')
    .option(...adminOption)
    .action((options: StatusOptions) => actions.status(options));
  withConfig(
    program.command('top').description('watch services, workers, sources and warnings live on the terminal'),
    lookup,
  )
    .option('--once', 'print all of it once; exit with 0 if the daemon is ready')
    .addOption(
      new Option('--color <when>', 'color the output; auto follows the terminal, NO_COLOR and FORCE_COLOR')
        .choices(colorChoices)
        .default('auto'),
    )
    .option(...adminOption)
    .action((options: TopOptions) => actions.top(options));
  withConfig(
    program.command('faults').description('inject faults into a service of the running daemon, or clear them'),
    lookup,
  )
    .argument('<service>', 'name of the service')
    .argument(
      '<fault...>',
      'FAULT=VALUE, such as loss=0.2 or delay=50ms±10ms; replaces all current faults; off clears them',
    )
    .option(
      '--for <duration>',
      'duration, such as 5m (1ms to 24d), after which the config applies again; default: until the next reload or restart',
    )
    .option(...adminOption)
    .action((service: string, words: readonly string[], options: FaultsOptions) =>
      actions.faults(service, words, options),
    );
  program
    .command('services')
    .description('list the built-in services with their RFC, port and options')
    .action(() => actions.services());
  program
    .command('import')
    .description('print a config that does what an inetd.conf or xinetd.conf says, with comments on what it leaves out')
    .argument('<file>', 'such as /etc/inetd.conf or /etc/xinetd.conf; - for stdin')
    .addOption(
      new Option(
        '--dialect <inetd>',
        'the inetd that the file is for; decides what tcp and tcp6 mean; default: import only what all three agree on',
      ).choices(inetdDialects),
    )
    .option(
      '--ignore-wrappers',
      'also import services that hosts.allow or hosts.deny may restrict, without those restrictions',
    )
    .action((file: string, options: ImportOptions) => actions.importConfig(file, options));
  program
    .command('install-service')
    .description('install the units and the config of a systemd service, and print the next steps')
    .option('--sandboxed', 'install the sandboxed service, to which systemd passes the sockets')
    .option('--dry-run', 'print what would be written, without writing it')
    .option('--remove', 'remove what was installed, except a config that was changed')
    .option(
      '--root <directory>',
      'for packagers: install under this directory instead of /, and leave the paths inside the units as shipped',
    )
    .action((options: InstallOptions) => actions.installService(options));
  addHelp(program, 'help [command]', 'print the help of a command', (name) => program.error(unknownCommand(name)));
  return program;
}

/** Puts a message of commander into our words. */
function ownMessage(text: string): string {
  return usageMessage(text).replace(/^(reload|status|top) takes no arguments$/, `$&: ${hint}`);
}

/** Options about services named on the command line. */
interface ServicesOptions extends ConfigOptions {
  readonly bind?: readonly string[];
  readonly exposeUdp?: true;
}

/** Returns the options with the services that are named on the command line, if any. */
async function named<Options extends ServicesOptions>(
  words: readonly string[],
  options: Options,
  command: Command,
): Promise<Options> {
  const { bind = [], exposeUdp = false } = options;
  if (words.length === 0) {
    if (bind.length > 0 || exposeUdp)
      command.error(`${exposeUdp ? '--expose-udp' : '--bind'} needs services, such as echo:9000`);
    return options;
  }
  if (command.getOptionValueSource('config') === 'cli') command.error('--config cannot be combined with services');
  const { configOfWords } = await import('../config/service-words.ts');
  const services = { words, bind, exposeUdp };
  try {
    configOfWords(services);
  } catch (error) {
    if (error instanceof SmallservdError)
      command.error(`${error.message}${words.some((word) => /^\.?\/|\.[a-z]+$/i.test(word)) ? `; ${hint}` : ''}`);
    throw error;
  }
  return { ...options, words: services };
}

async function namesService(word: string): Promise<boolean> {
  const words = await import('../config/service-words.ts');
  return words.namesService(word);
}

function unknownCommand(name: string): string {
  const expected = looksLikeFile(name)
    ? hint
    : 'expected run, check, reload, status, top, faults, services, import or install-service, or services such as echo:9000';
  return `unknown command '${name}': ${expected}`;
}

function looksLikeFile(word: string): boolean {
  return /^\S*[./]/.test(word);
}

function withServices(command: Command): Command {
  return withConfig(command)
    .argument(
      '[services...]',
      'services instead of a config, as TYPE[:PORT][/tcp|/udp]; PORT defaults to the IANA port',
    )
    .option(...bindOption, repeated)
    .option(...exposeOption);
}

function repeated(value: string, all: readonly string[] = []): readonly string[] {
  return [...all, value];
}

function withConfig(command: Command, use = ''): Command {
  return command
    .addOption(new Option(configOption[0], configOption[1] + use).env(configVariable))
    .option(setOption[0], setOption[1] + use, repeated);
}
