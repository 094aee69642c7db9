import type { PageEvent, PageEventName } from '../admin/live.ts';
import { EventLink } from './events.ts';
import { formatTime } from './format.ts';
import { showUnknown } from './header.ts';
import { PlotData } from './plot-data.ts';
import { Plots } from './plots.ts';
import { StatusView } from './status.ts';
import { setText } from './table.ts';

/** How often lines are drawn for whoever prefers less motion. The values next to them are always up to date. */
const calmMs = 10_000;

const spans = {
  seconds: { data: new PlotData(1, 300), text: '5 minutes' },
  minutes: { data: new PlotData(60, 6 * 3600), text: '6 hours' },
};

const view = new StatusView(byId('tables'));
const plots = new Plots(byId('plots'), spans.seconds.data, spans.seconds.text);
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
let isPaused = false;
let workers: readonly string[] = [];
let drawnAtMs = Number.NEGATIVE_INFINITY;
/** What has come while the page was paused. */
const waiting = new Map<PageEventName, () => void>();

const link = new EventLink({
  changed(event) {
    // The plots must not miss a point.
    remember(event);
    const show = (): void => (event.name === 'past' || event.name === 'points' ? draw() : view.show(event));
    if (isPaused) waiting.set(event.name, show);
    else show();
  },
  connected: showLink,
});

function remember({ name, value }: PageEvent): void {
  if (name === 'past') {
    spans.seconds.data.replace(value.seconds);
    spans.minutes.data.replace(value.minutes);
  }
  // In the order of their places in the history.
  if (name === 'status')
    workers = value.workers.filter(({ status }) => status !== 'draining').map(({ worker }) => `worker ${worker}`);
  if (name !== 'points') return;
  const { second, minute } = value;
  const isAhead = second === null || spans.seconds.data.add(second);
  const isAheadByMinutes = minute === null || spans.minutes.data.add(minute);
  // All points have other times now.
  if (!isAhead || !isAheadByMinutes) link.open();
}

function draw(): void {
  const nowMs = performance.now();
  const isDue = !reducedMotion.matches || nowMs - drawnAtMs >= calmMs;
  if (isDue) drawnAtMs = nowMs;
  plots.draw(workers, isDue);
}

function showLink(isConnected: boolean): void {
  const place = byId('link');
  if (place.classList.contains(isConnected ? 'good' : 'bad')) return;
  place.className = isConnected ? 'good' : 'bad';
  document.body.classList.toggle('down', !isConnected);
  if (!isConnected && !isPaused) showUnknown();
  setText(place, isConnected ? 'Live' : `Disconnected at ${formatTime(Date.now())}, reconnecting`);
}

byId('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  byId('pause').ariaPressed = String(isPaused);
  if (isPaused) return;
  for (const show of waiting.values()) show();
  waiting.clear();
  if (byId('link').classList.contains('bad')) showUnknown();
});

for (const input of document.querySelectorAll<HTMLInputElement>('input[name=span]'))
  input.addEventListener('change', () => {
    const { data, text } = input.value === 'minutes' ? spans.minutes : spans.seconds;
    plots.show(data, text);
  });

/**
 * A browser keeps few connections to one host, six with HTTP/1.1, so a page that nobody sees takes none. What it misses
 * comes as the past.
 */
function followVisibility(): void {
  if (!document.hidden) {
    link.open();
    return;
  }
  link.close();
  // Tabs show it.
  document.title = 'smallservd';
}

document.addEventListener('visibilitychange', followVisibility);
followVisibility();

function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}
