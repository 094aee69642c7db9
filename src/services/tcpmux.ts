import { Lines } from '../lines.ts';
import { type Client, ConfigError, type NamedService, type ServiceModule, type StreamHandlers } from '../service.ts';
import { LongAnswer } from '../long-answer.ts';

export type TcpmuxOptions = {
  readonly services: readonly string[];
  readonly nameTimeout: number;
};

/** Far longer than any name of a service. */
const maxNameBytes = 255;

/** Reserved by RFC 1078 for the list of names. */
const help = 'help';

const accepted = Buffer.from('+\r\n');
const notOffered = Buffer.from('-No such service\r\n');
const tooLong = Buffer.from('-Service name too long\r\n');
const tooLate = Buffer.from('-No service name\r\n');

/** RFC 1078: hands a client to another service of the same config. */
export const tcpmux: ServiceModule<TcpmuxOptions> = {
  name: 'tcpmux',
  summary: 'hands a client to the service that the client names',
  rfc: 1078,
  port: 1,
  transport: 'tcp',
  options: {
    services: {
      doc: 'The services of this config that clients may ask for. Their clients are subject to the limits and access rules of tcpmux, not of the service itself.',
      format: 'strings',
      default: [],
    },
    nameTimeout: {
      doc: 'How long a client may take to name a service. `idleTimeout` also applies.',
      format: 'duration',
      default: 10_000,
    },
  },
  create({ services: names, nameTimeout }, context) {
    const offered = new Map(names.map((name) => [name, findOffered(name, context.services)]));
    const list = Buffer.from([...offered.keys()].map((name) => `${name}\r\n`).join(''));
    return {
      stream(client) {
        const handlers = new MuxClient(client, {
          choose: (name) => (name === help ? list : (offered.get(name) ?? notOffered)),
          chosen: context.after(nameTimeout, () => handlers.refuse(tooLate)),
        });
        return handlers;
      },
    };
  },
};

interface MuxClientOptions {
  /** A name in lower case to the service, or to the answer that ends the connection, which may be long. */
  readonly choose: (name: string) => NamedService | Uint8Array;
  /** The client is not waited for any longer. */
  readonly chosen: () => void;
}

/** A client: first its line, then the handlers of the service that it has named. */
class MuxClient implements StreamHandlers {
  readonly #client: Client;
  readonly #options: MuxClientOptions;
  readonly #lines = new Lines(maxNameBytes);
  /** Undefined until the client has named a service. */
  #handlers: StreamHandlers | undefined;

  constructor(client: Client, options: MuxClientOptions) {
    this.#client = client;
    this.#options = options;
  }

  refuse(answer: Uint8Array): void {
    this.#options.chosen();
    this.#client.end(answer);
  }

  data(chunk: Uint8Array): void {
    if (this.#handlers !== undefined) {
      this.#handlers.data?.(chunk);
      return;
    }
    const line = this.#lines.take(chunk);
    if (line === 'too-long') this.refuse(tooLong);
    else if (line !== undefined) this.#serve(this.#options.choose(line.text.toLowerCase()), line.rest);
  }

  end(): void {
    if (this.#handlers === undefined) this.refuse(tooLate);
    else if (this.#handlers.end === undefined) this.#client.end();
    else this.#handlers.end();
  }

  drained(): void {
    this.#handlers?.drained?.();
  }

  closed(...[reason]: Parameters<NonNullable<StreamHandlers['closed']>>): void {
    this.#options.chosen();
    this.#handlers?.closed?.(reason);
  }

  #serve(choice: NamedService | Uint8Array, rest: Uint8Array): void {
    this.#options.chosen();
    if (choice instanceof Uint8Array) {
      this.#handlers = new LongAnswer(this.#client, choice);
      return;
    }
    this.#client.write(accepted);
    this.#handlers = choice.stream(this.#client) ?? {};
    if (rest.length > 0) this.#handlers.data?.(rest);
  }
}

/** Throws `ConfigError` unless clients can be handed to the service. */
function findOffered(name: string, services: ReadonlyMap<string, NamedService>): NamedService {
  const found = services.get(name);
  const quoted = JSON.stringify(name);
  if (found === undefined) throw unusable(`${quoted} is not a service of this config`);
  if (found.type === tcpmux.name) throw unusable(`${quoted} is a tcpmux, which clients cannot be handed to`);
  if (found.transport === 'udp') throw unusable(`${quoted} answers over UDP only, so clients cannot be handed to it`);
  if (name === help) throw unusable(`${quoted} is reserved for the list of names: expected another name (RFC 1078)`);
  return found;
}

function unusable(message: string): ConfigError {
  return new ConfigError(message, { option: 'services' });
}
