/** By what services are sorted: as in the config, or largest first. */
export const sortKeys = ['config', 'requests', 'clients', 'bytes', 'refusals'] as const;

export type SortKey = (typeof sortKeys)[number];

/** What somebody has chosen to see. */
export interface View {
  readonly sort: SortKey;
  /** Only rows with this text are shown. */
  readonly filter: string;
  /** Whether keys go into the filter. */
  readonly isFiltering: boolean;
  readonly isPaused: boolean;
  readonly showsHelp: boolean;
  /** The first line of the tables that is shown. */
  readonly scroll: number;
}

export const firstView: View = {
  sort: 'config',
  filter: '',
  isFiltering: false,
  isPaused: false,
  showsHelp: false,
  scroll: 0,
};

/** A key, as `node:readline` tells it. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
  /** What it would type. */
  readonly text?: string | undefined;
}

/** Where the lines of the tables are, for keys that scroll. */
export interface Extent {
  /** How many there are. */
  readonly lines: number;
  /** How many are shown. */
  readonly page: number;
  /** The first line of each table. */
  readonly starts: readonly number[];
}

/** `quit`: end. `suspend`: stop until the shell continues it. `redraw`: draw all lines again. */
export type KeyAction = 'quit' | 'suspend' | 'redraw';

/** Longer filters find nothing. */
const maxFilterCharacters = 64;

/** What a key does. */
export function pressKey(view: View, key: Key, extent: Extent): View | KeyAction {
  if (key.ctrl === true) return pressControl(view, key);
  if (view.isFiltering) return typeFilter(view, key);
  if (view.showsHelp) return key.name === 'q' ? 'quit' : { ...view, showsHelp: false };
  switch (key.text) {
    case 'q':
    case 'Q':
      return 'quit';
    case 's':
      return { ...view, sort: after(view.sort) };
    case 'p':
      return { ...view, isPaused: !view.isPaused };
    case '/':
      return { ...view, isFiltering: true };
    case '?':
    case 'h':
      return { ...view, showsHelp: true };
    default:
      return scrolled(view, key, extent);
  }
}

function pressControl(view: View, { name }: Key): View | KeyAction {
  if (name === 'c' || name === 'd') return 'quit';
  if (name === 'z') return 'suspend';
  if (name === 'l') return 'redraw';
  return view.isFiltering && name === 'u' ? { ...view, filter: '', scroll: 0 } : view;
}

function typeFilter(view: View, { name, meta, text = '' }: Key): View {
  if (name === 'return' || name === 'enter') return { ...view, isFiltering: false };
  if (name === 'escape') return { ...view, isFiltering: false, filter: '', scroll: 0 };
  if (name === 'backspace') return { ...view, filter: view.filter.replace(/.$/u, ''), scroll: 0 };
  if (meta === true || !/^[^\p{C}]+$/u.test(text)) return view;
  return { ...view, filter: (view.filter + text).slice(0, maxFilterCharacters), scroll: 0 };
}

function scrolled(view: View, { name }: Key, { lines, page, starts }: Extent): View {
  const last = Math.max(0, lines - page);
  const now = Math.min(view.scroll, last);
  const targets: Readonly<Record<string, number>> = {
    up: now - 1,
    down: now + 1,
    pageup: now - page,
    pagedown: now + page,
    space: now + page,
    home: 0,
    end: last,
    left: starts.findLast((start) => start < now) ?? 0,
    right: starts.find((start) => start > now) ?? last,
  };
  if (name === 'escape') return { ...view, filter: '', scroll: 0 };
  const target = targets[name ?? ''];
  return target === undefined ? view : { ...view, scroll: Math.min(Math.max(0, target), last) };
}

function after(sort: SortKey): SortKey {
  return sortKeys[(sortKeys.indexOf(sort) + 1) % sortKeys.length] ?? 'config';
}
