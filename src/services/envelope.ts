import { isUtf8 } from 'node:buffer';
import { hostname } from 'node:os';
import { formatHostPort } from '../address/host-port.ts';
import {
  type Client,
  ConfigError,
  type DatagramOrigin,
  type PeerAddress,
  type Service,
  type ServiceContext,
  type ServiceModule,
  type StreamHandlers,
} from '../service.ts';

export type EnvelopeOptions = {
  /** Empty for all. */
  readonly fields: readonly string[];
  readonly onConnect: boolean;
};

/** What is known of a request, in the order of the answer. The first five are the Gateway API's. */
interface Envelope {
  readonly request: Uint8Array;
  readonly namespace: string;
  readonly ingress: string;
  readonly service: string;
  readonly pod: string;
  readonly host: string;
  readonly listener: string;
  readonly transport: 'tcp' | 'udp' | 'unix';
  readonly local: string;
  readonly peer: string;
  readonly via: readonly string[];
  readonly tls: null;
  readonly receivedAt: string;
  readonly ttl: number | null;
  readonly dscp: number | null;
  readonly connection: number | null;
  readonly sequence: number;
}

const fieldNames = [
  'request',
  'namespace',
  'ingress',
  'service',
  'pod',
  'host',
  'listener',
  'transport',
  'local',
  'peer',
  'via',
  'tls',
  'receivedAt',
  'ttl',
  'dscp',
  'connection',
  'sequence',
] as const satisfies readonly (keyof Envelope)[];

/** A line that is longer is answered in pieces. */
const maxLineBytes = 8192;

/** Answered in one turn of the event loop. A line of one byte is answered with hundreds. */
const maxTurnBytes = 64 * 1024;

const lineFeed = 0x0a;
const nothing = new Uint8Array();

/** Who answered, and whom it saw: one JSON line for each datagram, and for each line of a stream client. */
export const envelope: ServiceModule<EnvelopeOptions> = {
  name: 'envelope',
  summary: 'describes each request as JSON: who answers, who asked, and how it arrived',
  udpHazard: 'it sends a few hundred bytes to any forged source address, and names this host',
  options: {
    fields: {
      doc: `Fields of the answer; empty for all. Any of ${fieldNames.join(', ')}.`,
      format: 'strings',
      default: [],
    },
    onConnect: {
      doc: 'If true, a stream client gets an envelope as soon as it connects, with an empty `request`.',
      format: 'boolean',
      default: false,
    },
  },
  create: (options, context) => createEnvelope(options, context, process.env, hostname()),
};

/** `NAMESPACE`, `INGRESS_NAME`, `SERVICE_NAME` and `POD_NAME` in the environment say where it runs. */
export function createEnvelope(
  { fields, onConnect }: EnvelopeOptions,
  context: ServiceContext,
  environment: Readonly<Record<string, string | undefined>>,
  host: string,
): Service {
  for (const field of fields)
    if (!fieldNames.some((name) => name === field))
      throw new ConfigError(`unknown field ${JSON.stringify(field)}: expected any of ${fieldNames.join(', ')}`, {
        option: 'fields',
      });
  const chosen = fields.length === 0 ? fieldNames : fieldNames.filter((name) => fields.includes(name));
  const { NAMESPACE = '', INGRESS_NAME = '', SERVICE_NAME = '', POD_NAME = '' } = environment;
  const here = { namespace: NAMESPACE, ingress: INGRESS_NAME, service: SERVICE_NAME, pod: POD_NAME, host };
  let connections = 0;
  let datagrams = 0;

  return {
    readsHeaders: true,
    stream(client) {
      connections += 1;
      const fixed = { ...here, ...arrivalOfClient(client), connection: connections };
      const requests = new Requests(client, (request, sequence) =>
        format(chosen, { ...fixed, request, sequence, receivedAt: formatTime(context.now().getTime() * 1000) }),
      );
      if (onConnect) requests.answer(nothing);
      return requests;
    },
    // The guard drops and counts what is too large, so that the reason for the silence shows.
    datagram(request, _limit, from) {
      datagrams += 1;
      const arrival = { ...arrivalOfDatagram(from), receivedAt: formatTime(from.receivedAtUs) };
      return format(chosen, { ...here, ...arrival, request, connection: null, sequence: datagrams });
    },
  };
}

type Answer = (request: Uint8Array, sequence: number) => Uint8Array;

/** The lines of one client, answered one after the other, no faster than the client takes the answers. */
class Requests implements StreamHandlers {
  readonly #client: Client;
  readonly #answer: Answer;
  #sequence = 0;
  /** Not answered yet. */
  #waiting: Uint8Array = nothing;
  #hasEnded = false;

  constructor(client: Client, answer: Answer) {
    this.#client = client;
    this.#answer = answer;
  }

  answer(request: Uint8Array): number {
    this.#sequence += 1;
    const answer = this.#answer(request, this.#sequence);
    this.#client.write(answer);
    return answer.length;
  }

  data(chunk: Uint8Array): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    this.#answerSome();
  }

  drained(): void {
    this.#answerSome();
  }

  end(): void {
    this.#hasEnded = true;
    this.#answerSome();
  }

  #answerSome(): void {
    let start = 0;
    let written = 0;
    while (written < maxTurnBytes) {
      const end = this.#endOfRequest(start);
      if (end === undefined) break;
      written += this.answer(this.#waiting.subarray(start, end));
      start = end;
    }
    this.#waiting = this.#waiting.subarray(start);
    // Whatever is left of a chunk has its turn when the client has taken these answers.
    if (written < maxTurnBytes) {
      if (this.#hasEnded) this.#client.end();
      else this.#client.resume();
    } else this.#client.pause();
  }

  /** Where the request that starts there ends, or undefined if it is not complete. */
  #endOfRequest(start: number): number | undefined {
    const at = this.#waiting.indexOf(lineFeed, start);
    const end = at < 0 ? this.#waiting.length : at + 1;
    if (end - start >= maxLineBytes) return start + maxLineBytes;
    const isComplete = at >= 0 || (this.#hasEnded && end > start);
    return isComplete ? end : undefined;
  }
}

/** What the transport knows. */
type Arrival = Pick<Envelope, 'listener' | 'transport' | 'local' | 'peer' | 'via' | 'tls' | 'ttl' | 'dscp'>;

function arrivalOfClient({ peer, listener, local, via }: Client): Arrival {
  return {
    listener,
    transport: peer.family === 'unix' ? 'unix' : 'tcp',
    local,
    peer: formatAddress(peer),
    via: via === undefined ? [] : [via],
    tls: null,
    ttl: null,
    dscp: null,
  };
}

function arrivalOfDatagram(from: DatagramOrigin): Arrival {
  return {
    listener: from.listener,
    transport: 'udp',
    local: formatAddress(from.local),
    peer: formatAddress(from.peer),
    via: [],
    tls: null,
    ttl: from.ttl ?? null,
    dscp: from.dscp ?? null,
  };
}

function formatAddress({ family, address, port }: PeerAddress): string {
  return family === 'unix' ? 'unix' : formatHostPort(address, port);
}

/** RFC 3339, in UTC, with microseconds. */
function formatTime(us: number): string {
  const ms = Math.floor(us / 1000);
  return new Date(ms).toISOString().replace('Z', `${String(Math.floor(us - ms * 1000)).padStart(3, '0')}Z`);
}

function format(fields: readonly (keyof Envelope)[], values: Envelope): Uint8Array {
  const entries = fields.map((field): [string, unknown] => {
    if (field !== 'request') return [field, values[field]];
    const { request } = values;
    const bytes = Buffer.from(request.buffer, request.byteOffset, request.length);
    return isUtf8(bytes) ? ['request', bytes.toString()] : ['requestBase64', bytes.toString('base64')];
  });
  return Buffer.from(`${JSON.stringify(Object.fromEntries(entries))}\n`);
}
