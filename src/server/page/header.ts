import type { Live } from '../admin/live.ts';
import { formatCount, formatMs, formatSpan, formatTime } from './format.ts';
import { element, setText } from './table.ts';

type Status = Live['status'];

/** Says that nobody knows the state of the daemon. */
export function showUnknown(): void {
  document.title = '⚠ smallservd: disconnected';
  showState('unknown', 'warn');
}

/** Shows the state of the daemon at the top of the page, and in its title. */
export function showHeader({
  version,
  state,
  notReady,
  upMs,
  startedAt,
  pid,
  node,
  config,
  clock,
  lostLogLines,
}: Status): void {
  const isReady = notReady.length === 0;
  document.title = `${isReady ? '' : '⚠ '}smallservd ${version}: ${isReady ? state : 'not ready'}`;
  showState(isReady ? state : `not ready: ${notReady.join('; ')}`, isReady ? 'good' : 'bad');
  const heading = document.getElementById('version');
  if (heading !== null) setText(heading, version);
  const facts: Readonly<Record<string, string>> = {
    up: upMs === undefined ? `since ${formatTime(startedAt)}` : formatSpan(upMs),
    clock: describeClock(clock),
    config: `${config.name} (${config.hash})`,
    process: `${pid}, Node ${node.replace(/^v/, '')}`,
    'log lines lost': formatCount(lostLogLines),
  };
  const list = document.getElementById('facts');
  if (list === null) return;
  for (const [index, [term, text]] of Object.entries(facts).entries()) {
    const pair = list.children[index] ?? list.appendChild(element('div'));
    const name = pair.children[0] ?? pair.appendChild(element('dt'));
    setText(name, term);
    setText(pair.children[1] ?? pair.appendChild(element('dd')), text);
  }
}

function showState(text: string, mark: 'good' | 'warn' | 'bad'): void {
  const place = document.getElementById('state');
  if (place === null) return;
  place.className = `mark ${mark}`;
  setText(place, text);
}

function describeClock({ isSet, isSynchronized, errorMs }: Status['clock']): string {
  if (!isSet) return 'not set';
  if (isSynchronized === null) return 'unknown';
  return isSynchronized ? `synchronized, within ${formatMs(errorMs)}` : 'not synchronized';
}
