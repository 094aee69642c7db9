import { createHmac } from 'node:crypto';
import { FileError, readRegularFile } from '../regular-file.ts';
import {
  type Client,
  ConfigError,
  type PeerAddress,
  type ServiceContext,
  type Service,
  type ServiceModule,
  type StreamHandlers,
} from '../service.ts';
import { Lines } from '../lines.ts';
import { isIpv4, isLinkLocal, parseIp } from '../address/ip-address.ts';
import { ConnectionOwners } from './connection-owner.ts';
import { FairQueue } from './fair-queue.ts';

export type IdentOptions = {
  readonly answer: 'hidden-user' | 'token' | 'hash';
  /** Required with `answer: token`. */
  readonly token: string | null;
  /** Required with `answer: hash`. */
  readonly keyFile: string | null;
};

const maxRequestBytes = 1000;

/** Of a connection. A chunk can contain thousands, and other clients wait until it is answered. */
const maxRequests = 100;

/** RFC 1413: a user ID has at most 512 octets. */
const maxTokenLength = 512;

const maxKeyBytes = 4096;
const leastKeyBytes = 16;
/** 128 bits. */
const hashDigits = 32;

/** The table of connections is read at most this often, and only if a client waits. */
const lookPeriodMs = 250;
/** The pause after a look is at least this many times as long. */
const pausePerLook = 4;
const mostPauses = 8;
/** Each search takes milliseconds on a machine with 100,000 connections. */
const searchesPerLook = 16;
const maxWaiting = 1000;
const maxWaitingOfClient = 8;
/** Of an IPv4 address or an IPv6 /48, which is what one customer has. They get their replies in turn. */
const maxWaitingOfCustomer = 32;

/** RFC 1413: says nothing about who holds a connection, unless it is told to. */
export const ident: ServiceModule<IdentOptions> = {
  name: 'ident',
  summary: 'answers who holds a TCP connection, without a name',
  rfc: 1413,
  port: 113,
  transport: 'tcp',
  options: {
    answer: {
      doc: 'What is said of every connection (a privacy decision): `HIDDEN-USER`, the `token`, or a hash of the ID of the user who holds it, with the key in `keyFile`.',
      format: ['hidden-user', 'token', 'hash'],
      default: 'hidden-user',
    },
    token: {
      doc: 'The user name to give if `answer` is `token`.',
      format: 'string',
      default: null,
    },
    keyFile: {
      doc: 'A file with the key of the hash, at least 16 bytes, if `answer` is `hash`. A trailing line ending is not part of the key. Without the key, a hash cannot be traced to a user. The hash is the first 32 digits that `printf uid:1000 | openssl dgst -sha256 -hmac KEY` prints for user ID 1000.',
      format: 'file',
      default: null,
    },
  },
  create: (options, context) => createIdent(options, context, async () => ConnectionOwners.read()),
};

/** Creates the service. `readOwners` is called only in the background. */
export async function createIdent(
  { answer, token, keyFile }: IdentOptions,
  context: ServiceContext,
  readOwners: () => Promise<ConnectionOwners>,
): Promise<Service> {
  if (answer === 'hash') return new HashingIdent(await readKey(keyFile), context, readOwners);
  const reply = answer === 'token' ? `USERID : UNIX : ${assertToken(token)}` : 'ERROR : HIDDEN-USER';
  return { stream: (client) => readRequests(client, () => reply) };
}

/** The ports as they are repeated in the reply. */
interface PortPair {
  /** On this machine. */
  readonly serverPort: number;
  readonly clientPort: number;
}

interface Handlers {
  data(chunk: Uint8Array): void;
  end(): void;
}

/**
 * Reads the requests of a client. `answer` returns the reply to a valid one, or undefined if it comes later. `finished`
 * is called once, instead of `client.end()`, after the last one: at the client's end, at a line that is no request, or
 * at the limit.
 */
function readRequests(
  client: Client,
  answer: (request: PortPair) => string | undefined,
  finished: () => void = () => client.end(),
): Handlers {
  const lines = new Lines(maxRequestBytes);
  let requests = 0;
  let isFinished = false;
  const finish = (): void => {
    if (!isFinished) finished();
    isFinished = true;
  };
  return {
    data(chunk) {
      if (isFinished) return;
      let replies = '';
      let line = lines.take(chunk);
      while (line !== undefined && line !== 'too-long' && requests < maxRequests) {
        const request = parseRequest(line.text);
        if (request === undefined) break;
        requests += 1;
        const reply = isValid(request) ? answer(request) : invalidPort;
        if (reply !== undefined) replies += replyTo(request, reply);
        line = lines.take(line.rest);
      }
      const isOver = requests === maxRequests;
      if (line !== undefined && !isOver) replies += replyTo(noPorts, invalidPort);
      if (replies !== '') client.write(Buffer.from(replies, 'latin1'));
      if (line !== undefined || isOver) finish();
    },
    end: finish,
  };
}

const invalidPort = 'ERROR : INVALID-PORT';
const unknownError = 'ERROR : UNKNOWN-ERROR';

/** In the reply to what is not a request. */
const noPorts: PortPair = { serverPort: 0, clientPort: 0 };

function parseRequest(text: string): PortPair | undefined {
  const match = /^[ \t]*(\d{1,5})[ \t]*,[ \t]*(\d{1,5})[ \t]*$/.exec(text);
  return match === null ? undefined : { serverPort: Number(match[1]), clientPort: Number(match[2]) };
}

function isValid({ serverPort, clientPort }: PortPair): boolean {
  return [serverPort, clientPort].every((port) => port >= 1 && port <= 65_535);
}

function replyTo({ serverPort, clientPort }: PortPair, reply: string): string {
  return `${serverPort} , ${clientPort} : ${reply}\r\n`;
}

/** A request that waits for the next look at the connections. */
interface Waiting {
  readonly client: Client;
  readonly request: PortPair;
  readonly answer: (reply: string) => void;
}

/** Looks to leave out after one that took this long: with 100,000 connections, it would take half a processor. */
function pausesAfter(ms: number): number {
  return Math.min(Math.max(Math.floor((pausePerLook * ms) / lookPeriodMs), 0), mostPauses);
}

/** Gives each user another name, always the same, that only the key can tell. */
class HashingIdent implements Service {
  readonly #key: Uint8Array;
  readonly #context: ServiceContext;
  readonly #readOwners: () => Promise<ConnectionOwners>;
  readonly #waiting = new FairQueue<Waiting>({ ofOne: maxWaitingOfCustomer, ofAll: maxWaiting });
  #failing = false;
  /** Looks to leave out. */
  #pauses = 0;

  constructor(key: Uint8Array, context: ServiceContext, readOwners: () => Promise<ConnectionOwners>) {
    this.#key = key;
    this.#context = context;
    this.#readOwners = readOwners;
    context.every(lookPeriodMs, async () => this.#look());
  }

  stream(client: Client): StreamHandlers {
    let waiting = 0;
    let isFinished = false;
    const customer = customerOf(client.peer);
    const ask = (request: PortPair): string | undefined => {
      if (waiting === maxWaitingOfClient) return unknownError;
      const answer = (reply: string): void => {
        waiting -= 1;
        client.write(Buffer.from(replyTo(request, reply), 'latin1'));
        if (isFinished && waiting === 0) client.end();
      };
      const displaced = this.#waiting.add(customer, { client, request, answer });
      if (displaced === 'refused') return unknownError;
      displaced?.answer(unknownError);
      waiting += 1;
      return undefined;
    };
    const handlers = readRequests(client, ask, () => {
      isFinished = true;
      if (waiting === 0) client.end();
    });
    return {
      ...handlers,
      closed: () => {
        if (waiting > 0) this.#waiting.remove(customer, (each) => each.client === client);
      },
    };
  }

  async #look(): Promise<void> {
    if (this.#pauses > 0) {
      this.#pauses -= 1;
      return;
    }
    const asked = this.#waiting.take(searchesPerLook);
    if (asked.length === 0) return;
    const startUs = this.#context.nowUs();
    const owners = await this.#owners();
    this.#pauses = pausesAfter((this.#context.nowUs() - startUs) / 1000);
    for (const { client, request, answer } of asked)
      answer(owners === undefined ? unknownError : this.#reply(owners, client, request));
  }

  async #owners(): Promise<ConnectionOwners | undefined> {
    try {
      const owners = await this.#readOwners();
      this.#failing = false;
      return owners;
    } catch (error) {
      if (!this.#failing) this.#context.log.warn({ error: String(error) }, 'cannot read connection owners');
      this.#failing = true;
      return undefined;
    }
  }

  #reply(owners: ConnectionOwners, { peer }: Client, { serverPort, clientPort }: PortPair): string {
    const uid = owners.find({ localPort: serverPort, peerAddress: peer.address, peerPort: clientPort });
    return uid === undefined ? 'ERROR : NO-USER' : `USERID : UNIX : ${hashOf(uid, this.#key)}`;
  }
}

/** Anyone with a network of their own has unlimited addresses. */
function customerOf({ address }: PeerAddress): string {
  const ip = parseIp(address);
  if (ip === undefined || isIpv4(ip) || isLinkLocal(ip)) return address;
  return `${ip.w0} ${ip.w1 >>> 16}`;
}

/** HMAC-SHA256, as `printf uid:1000 | openssl dgst -sha256 -hmac KEY` prints it, cut to 32 digits. */
function hashOf(uid: number, key: Uint8Array): string {
  return createHmac('sha256', key).update(`uid:${uid}`).digest('hex').slice(0, hashDigits);
}

/** Clients take a user ID to the end of the line, or to a colon. */
function assertToken(token: string | null): string {
  if (token === null || token === '') throw new ConfigError('is required with answer: token', { option: 'token' });
  if (!/^[!-9;-~]+$/.test(token) || token.length > maxTokenLength) {
    const expected = `may contain only printable ASCII without spaces and colons, at most ${maxTokenLength} characters`;
    throw new ConfigError(expected, { option: 'token' });
  }
  return token;
}

async function readKey(file: string | null): Promise<Uint8Array> {
  if (file === null) throw new ConfigError('is required with answer: hash', { option: 'keyFile' });
  const key = await readKeyFile(file);
  if (key.length >= leastKeyBytes) return key;
  throw new ConfigError(`has ${key.length} bytes: expected a key of at least ${leastKeyBytes}`, {
    option: 'keyFile',
    file,
  });
}

async function readKeyFile(file: string): Promise<Uint8Array> {
  try {
    const text = (await readRegularFile(file, maxKeyBytes)).toString('latin1');
    return Buffer.from(text.replace(/\r?\n$/, ''), 'latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot be read: ${error.message}`, { option: 'keyFile', file });
  }
}
