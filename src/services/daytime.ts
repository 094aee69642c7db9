import { modifiedJulianDate, usDaylightCode } from '../clock/nist.ts';
import { formatOffset, type LocalTime, loadTimeZone } from '../clock/time-zone.ts';
import type { ServiceContext, ServiceModule } from '../service.ts';

export type DaytimeFormat = 'rfc867' | 'smtp' | 'ctime' | 'unix' | 'iso8601' | 'nist';

export type DaytimeOptions = {
  readonly format: DaytimeFormat;
  /** Null for the machine's zone. */
  readonly zone: string | null;
  readonly whenUnsynchronized: 'answer' | 'silent';
};

/** RFC 867: date and time on one line. */
export const daytime: ServiceModule<DaytimeOptions> = {
  name: 'daytime',
  summary: 'sends the date and time as a line of text',
  rfc: 867,
  port: 13,
  options: {
    format: {
      doc: 'Format of the line.',
      format: ['rfc867', 'smtp', 'ctime', 'unix', 'iso8601', 'nist'],
      default: 'rfc867',
    },
    zone: {
      doc: "The time zone, such as Europe/Paris; null is the machine's. The format nist is always in UTC.",
      format: 'timezone',
      default: null,
    },
    whenUnsynchronized: {
      doc: 'What to do while the system clock is not synchronized with UTC. With `silent`, a TCP connection is closed without data and a datagram is not answered. With `format: nist`, the health digit says so, too.',
      format: ['answer', 'silent'],
      default: 'answer',
    },
  },
  create({ format, zone: zoneName, whenUnsynchronized }, context) {
    const mustBeSynchronized = whenUnsynchronized === 'silent';
    const zone = loadTimeZone(format === 'nist' ? 'UTC' : zoneName);
    const write = formats[format];
    let cachedSecond = Number.NaN;
    let cachedHealth: Health = 0;
    let cachedLine = Buffer.alloc(0);

    function line(): Uint8Array | undefined {
      const health = healthOf(context);
      if (mustBeSynchronized && health !== 0) return undefined;
      const nowMs = context.now().getTime();
      const second = Math.floor(nowMs / 1000);
      if (second !== cachedSecond || health !== cachedHealth) {
        // A new buffer each second, because a transport may still hold the last one.
        cachedLine = Buffer.from(`${write(zone.at(nowMs), health)}\r\n`, 'latin1');
        cachedSecond = second;
        cachedHealth = health;
      }
      return cachedLine;
    }

    return {
      stream: (client) => client.end(line()),
      datagram(_request, limit) {
        const reply = line();
        return reply === undefined || reply.length > limit ? undefined : reply;
      },
    };
  },
};

/**
 * The health of the clock, in NIST's digits: 0 is healthy, 2 wrong by more than five seconds, and with 3 nobody knows
 * how wrong it is.
 */
type Health = 0 | 2 | 3;

function healthOf(context: ServiceContext): Health {
  if (!context.clockIsSet()) return 2;
  return context.clockIsSynchronized() ? 0 : 3;
}

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
const months = 'January February March April May June July August September October November December'.split(' ');
const weekday = (t: LocalTime): string => weekdays[t.weekday] ?? '';
const month = (t: LocalTime): string => months[t.month - 1] ?? '';
const short = (name: string): string => name.slice(0, 3);
const pad = (value: number, width = 2, fill = '0'): string => String(value).padStart(width, fill);
const year2 = (t: LocalTime): string => pad(t.year % 100);
const clock = (t: LocalTime): string => `${pad(t.hour)}:${pad(t.minute)}:${pad(t.second)}`;
const unixDay = (t: LocalTime): string => `${short(weekday(t))} ${short(month(t))} ${pad(t.day, 2, ' ')} ${clock(t)}`;

const formats: Record<DaytimeFormat, (t: LocalTime, health: Health) => string> = {
  rfc867: (t) => `${weekday(t)}, ${month(t)} ${t.day}, ${t.year} ${clock(t)}-${t.abbreviation}`,
  smtp: (t) => `${pad(t.day)} ${short(month(t)).toUpperCase()} ${year2(t)} ${clock(t)} ${t.abbreviation}`,
  ctime: (t) => `${unixDay(t)} ${t.year}`,
  unix: (t) => `${unixDay(t)} ${t.abbreviation} ${t.year}`,
  iso8601: (t) => `${pad(t.year, 4)}-${pad(t.month)}-${pad(t.day)}T${clock(t)}${formatOffset(t.offsetSeconds, ':')}`,
  nist(t, health) {
    const day = modifiedJulianDate(t.year, t.month, t.day);
    const daylight = pad(usDaylightCode(t.year, t.month, t.day));
    const leap = 0;
    const date = `${year2(t)}-${pad(t.month)}-${pad(t.day)}`;
    return `${day} ${date} ${clock(t)} ${daylight} ${leap} ${health}   0.0 UTC(smallservd) *`;
  },
};
