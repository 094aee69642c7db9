import { Lines } from '../lines.ts';
import { ConfigError, type Counter, type ServiceContext, type Service, type ServiceModule } from '../service.ts';
import { LongAnswer } from '../long-answer.ts';
import { type Plans, readPlans } from './plans.ts';
import { listUsers, watchUsers } from './who.ts';

export type FingerOptions = {
  readonly show: 'refuse' | 'plans' | 'users';
  /** Required with `show: plans`. */
  readonly plans: string | null;
};

/** Longer than any user name with `/W`. */
const maxQueryBytes = 512;

/** The words of RFC 1288 sections 3.2.1 and 3.2.2, and the same for a user. */
const forwardingDenied = linesOf('Finger forwarding service denied');
const listDenied = linesOf('Finger online user list denied');
const userDenied = linesOf('Finger user information denied');

const noSuchUser = linesOf('No such user');
const notLoggedIn = linesOf('No such user is logged in');
const tooLong = linesOf('Query too long');

/** The answers about a user who is not shown. */
const refusals: ReadonlySet<Uint8Array> = new Set([userDenied, noSuchUser, notLoggedIn]);

/** RFC 1288: plans, or who is logged in. Shows nothing unless it is told to, and never asks another host. */
export const finger: ServiceModule<FingerOptions> = {
  name: 'finger',
  summary: 'answers a query for a user, or for all users',
  rfc: 1288,
  port: 79,
  transport: 'tcp',
  options: {
    show: {
      doc: 'What is shown (a privacy decision): nothing, the plans of `plans`, or who is logged in.',
      format: ['refuse', 'plans', 'users'],
      default: 'refuse',
    },
    plans: {
      doc: 'With `show: plans`: a directory in which each file is the plan of the user that it is named after, or one file that answers every query. It is read whenever a worker starts.',
      format: 'file',
      default: null,
    },
  },
  create: (options, context) => createFinger(options, context, listUsers),
};

/** Creates the service. `list` returns the login names and is called only in the background. */
export async function createFinger(
  { show, plans }: FingerOptions,
  context: ServiceContext,
  list: () => Promise<readonly string[]>,
): Promise<Service> {
  if (show === 'plans' && plans === null) throw new ConfigError('is required with show: plans', { option: 'plans' });
  const counters = {
    forwarding: context.counter('forwarding_queries', 'Queries for users of another host, all refused.'),
    unknown: context.counter('unknown_user_queries', 'Queries for a user who is not shown.'),
  };
  let directory = show === 'plans' && plans !== null ? directoryOf(await readPlans(plans)) : refusing;
  if (show === 'users') {
    directory = directoryOfUsers([]);
    watchUsers(context, list, (names) => {
      directory = directoryOfUsers(names);
    });
  }
  return {
    stream(client) {
      const lines = new Lines(maxQueryBytes);
      let answer: LongAnswer | undefined;
      return {
        data(chunk) {
          if (answer !== undefined) return;
          const line = lines.take(chunk);
          if (line === 'too-long') client.end(tooLong);
          else if (line !== undefined) answer = new LongAnswer(client, answerTo(line.text, directory, counters));
        },
        drained: () => answer?.drained(),
        // A line that ends with the stream counts.
        end() {
          answer ??= new LongAnswer(client, answerTo(lines.pending, directory, counters));
        },
      };
    },
  };
}

/** All that there is to see, as complete answers. A name of a query is only ever looked up here. */
interface Directory {
  readonly all: Uint8Array;
  /** With `/W`. */
  readonly allInDetail: Uint8Array;
  readonly users: ReadonlyMap<string, Uint8Array>;
  /** For every other name. */
  readonly other: Uint8Array;
}

const refusing: Directory = { all: listDenied, allInDetail: listDenied, users: new Map(), other: userDenied };

/** RFC 1288 section 2.3. `/W` asks for more detail, which only the list of all users has. */
function answerTo(
  query: string,
  { all, allInDetail, users, other }: Directory,
  counters: { readonly forwarding: Counter; readonly unknown: Counter },
): Uint8Array {
  if (query.includes('@')) {
    counters.forwarding.add();
    return forwardingDenied;
  }
  const inDetail = /^\s*\/w(?!\S)/i.exec(query)?.[0] ?? '';
  const name = query.slice(inDetail.length).trim();
  if (name === '') return inDetail === '' ? all : allInDetail;
  const answer = users.get(name) ?? other;
  if (refusals.has(answer)) counters.unknown.add();
  return answer;
}

function directoryOf(plans: Plans): Directory {
  if ('ofEveryone' in plans) {
    const answer = listOf(plans.ofEveryone, 'No plan');
    return { all: answer, allInDetail: answer, users: new Map(), other: answer };
  }
  const each = [...plans.ofUsers];
  return {
    all: listOf([...plans.ofUsers.keys()], 'No plans'),
    allInDetail: listOf(
      each.map(([name, [first = 'No plan']]) => `${name}: ${first}`),
      'No plans',
    ),
    users: new Map(each.map(([name, lines]) => [name, planOf(name, lines)])),
    other: noSuchUser,
  };
}

function planOf(name: string, lines: readonly string[]): Uint8Array {
  return lines.length === 0 ? linesOf(`Login: ${name}`, 'No plan') : linesOf(`Login: ${name}`, 'Plan:', ...lines);
}

function directoryOfUsers(names: readonly string[]): Directory {
  const all = listOf(names, 'No one is logged in');
  return {
    all,
    allInDetail: all,
    users: new Map(names.map((name) => [name, linesOf(`${name} is logged in`)])),
    other: notLoggedIn,
  };
}

function listOf(lines: readonly string[], none: string): Uint8Array {
  return linesOf(...(lines.length === 0 ? [none] : lines));
}

function linesOf(...lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}
