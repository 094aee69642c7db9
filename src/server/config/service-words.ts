import { SmallservdError } from '../../errors.ts';
import { type AnyServiceModule, services } from '../../services/index.ts';
import { suggest } from '../../suggestion.ts';

/** Services named on the command line, instead of in a config file. */
export interface ServiceWords {
  /** Each is `TYPE[:PORT][/tcp|/udp]`: `echo`, `echo:9000`, `time:9037/udp`. */
  readonly words: readonly string[];
  /** Hosts to listen on, as in a listen address. IPv6 literals may have brackets. Empty for all interfaces. */
  readonly bind: readonly string[];
  /** Whether UDP services that can be abused may listen on public addresses. */
  readonly exposeUdp: boolean;
}

const transports = ['tcp', 'udp'] as const;
type Transport = (typeof transports)[number];

const shape = 'expected TYPE[:PORT][/tcp|/udp], such as echo:9000';

/** A parsed word. */
interface Word {
  readonly module: AnyServiceModule;
  readonly port: number;
  readonly transports: readonly Transport[];
}

/** Whether a word is the name of a service, or can be nothing else. Otherwise it may be a mistyped command. */
export function namesService(word: string): boolean {
  return moduleOf(word) !== undefined || /^[\w-]+(?::|\/(?:tcp|udp)$)/.test(word);
}

/**
 * Returns the config that the words stand for. An instance is named after its type and port: `echo-9000`. Throws
 * `ARGUMENT_INVALID`.
 */
export function configOfWords({ words, bind, exposeUdp }: ServiceWords): object {
  const hosts = bind.length === 0 ? ['*'] : bind.map(hostOf);
  const instances = new Map<string, { type: string; listen: string[]; exposeUdp?: true }>();
  for (const word of words) {
    const { module, port, transports: named } = parseWord(word);
    const name = `${module.name}-${port}`;
    const isExposed = exposeUdp && module.udpHazard !== undefined && { exposeUdp };
    const instance = instances.get(name) ?? { type: module.name, listen: [], ...isExposed };
    for (const transport of named)
      for (const host of hosts) {
        const listen = `${transport}://${host}:${port}`;
        if (instance.listen.includes(listen)) throw invalid(word, `${transport} port ${port} is already named`);
        instance.listen.push(listen);
      }
    instances.set(name, instance);
  }
  return { services: Object.fromEntries(instances) };
}

function parseWord(word: string): Word {
  const module = moduleOf(word);
  if (module === undefined) {
    const names = services.map(({ name }) => name);
    const type = typeOf(word);
    if (/^[\w-]+$/.test(type))
      throw invalid(word, `unknown service: expected one of ${names.join(', ')}${suggest(type, names)}`);
    throw invalid(word, shape);
  }
  const match = /^[^:/]+(?::(\d{1,5}))?(?:\/(tcp|udp))?$/.exec(word);
  if (match === null) throw invalid(word, shape);
  const [, digits, transport] = match;
  const port = digits === undefined ? module.port : Number(digits);
  if (port === undefined) throw invalid(word, `${module.name} has no assigned port: expected ${module.name}:PORT`);
  if (port > 65_535) throw invalid(word, `port ${port} is too high: expected 0 to 65535`);
  const only = module.transport;
  if (transport !== undefined && only !== undefined && transport !== only)
    throw invalid(word, `${module.name} answers over ${only.toUpperCase()} only`);
  const named = (transport as Transport | undefined) ?? only;
  return { module, port, transports: named === undefined ? transports : [named] };
}

function moduleOf(word: string): AnyServiceModule | undefined {
  const type = typeOf(word);
  return services.find(({ name }) => name === type);
}

function typeOf(word: string): string {
  return /^[^:/]*/.exec(word)?.[0] ?? '';
}

/** Brackets are for IPv6 literals, which may have a zone. The config checks the rest. */
function hostOf(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

function invalid(word: string, problem: string): SmallservdError {
  return new SmallservdError('ARGUMENT_INVALID', `${JSON.stringify(word)}: ${problem}`);
}
