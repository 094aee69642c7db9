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

/** A line that is longer is answered in pieces. Escaped as JSON, a byte may take six. */
const maxLineBytes = 1024;

/**
 * Answered at once for one client. An answer costs as much as reading hundreds of bytes, and many clients may send
 * nothing but line feeds: others must get their turn.
 */
const answersPerTurn = 16;

/** After these, no further answer of the turn is begun: what a client does not read is held for it. */
const charactersPerTurn = 8192;

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
      const form = new Form(chosen, { ...here, ...arrivalOfClient(client), connection: connections });
      const requests = new Requests(client, (request, sequence) =>
        form.fill(request, context.now().getTime() * 1000, sequence),
      );
      if (onConnect) requests.greet();
      return requests;
    },
    // The guard drops and counts what is too large, so that the reason for the silence shows.
    datagram(request, _limit, from) {
      datagrams += 1;
      const form = new Form(chosen, { ...here, ...arrivalOfDatagram(from), connection: null });
      return Buffer.from(form.fill(request, from.receivedAtUs, datagrams));
    },
  };
}

/** Returns the text of the answer to a request. */
type Answer = (request: Uint8Array, sequence: number) => string;

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

  /** Answers before anything is asked. */
  greet(): void {
    this.#client.write(Buffer.from(this.#next(nothing)));
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
    let answers = '';
    let end = this.#endOfRequest(start);
    for (let count = 0; count < answersPerTurn && answers.length < charactersPerTurn && end !== undefined; count += 1) {
      answers += this.#next(this.#waiting.subarray(start, end));
      start = end;
      end = this.#endOfRequest(start);
    }
    this.#waiting = start === this.#waiting.length ? nothing : this.#waiting.subarray(start);
    if (answers !== '') this.#client.write(Buffer.from(answers));
    // Whatever is left has its turn when the client has taken these answers.
    if (end !== undefined) this.#client.pause();
    else if (this.#hasEnded) this.#client.end();
    else this.#client.resume();
  }

  #next(request: Uint8Array): string {
    this.#sequence += 1;
    return this.#answer(request, this.#sequence);
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
    via: from.via === undefined ? [] : [from.via],
    tls: null,
    ttl: from.ttl ?? null,
    dscp: from.dscp ?? null,
  };
}

function formatAddress({ family, address, port }: PeerAddress): string {
  return family === 'unix' ? 'unix' : formatHostPort(address, port);
}

let formattedMs = Number.NaN;
let formatted = '';

/** RFC 3339, in UTC, with microseconds. */
function formatTime(us: number): string {
  const ms = Math.floor(us / 1000);
  // Many lines arrive in the same millisecond.
  if (ms !== formattedMs) formatted = new Date(ms).toISOString().slice(0, -1);
  formattedMs = ms;
  return `${formatted}${String(Math.floor(us - ms * 1000)).padStart(3, '0')}Z`;
}

/** What differs between the answers to one client. */
type Varying = 'request' | 'receivedAt' | 'sequence';

/** The answers to one client: what is the same in all of them is written once. */
class Form {
  /** The members of the JSON object, or the name of one that varies. */
  readonly #members: readonly (string | { readonly varying: Varying })[];

  constructor(fields: readonly (keyof Envelope)[], values: Omit<Envelope, Varying>) {
    this.#members = fields.map((field) =>
      field === 'request' || field === 'receivedAt' || field === 'sequence'
        ? { varying: field }
        : `"${field}":${JSON.stringify(values[field])}`,
    );
  }

  /** Times are microseconds since 1970. */
  fill(request: Uint8Array, receivedAtUs: number, sequence: number): string {
    let text = '';
    for (const member of this.#members) {
      text += text === '' ? '{' : ',';
      if (typeof member === 'string') text += member;
      else if (member.varying === 'sequence') text += `"sequence":${sequence}`;
      else if (member.varying === 'receivedAt') text += `"receivedAt":"${formatTime(receivedAtUs)}"`;
      else text += formatRequest(request);
    }
    return `${text}}\n`;
  }
}

function formatRequest(request: Uint8Array): string {
  const bytes = Buffer.from(request.buffer, request.byteOffset, request.length);
  return isUtf8(bytes)
    ? `"request":${JSON.stringify(bytes.toString())}`
    : `"requestBase64":"${bytes.toString('base64')}"`;
}
