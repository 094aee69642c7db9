import { type Time, time } from '../time.ts';
import { loadTimeZone } from '../../clock/time-zone.ts';
import {
  clientOptions,
  type Fault,
  judgeFault,
  type NetworkOptions,
  printResult,
  type Tool,
  warnOfLostRequest,
  withProtocol,
} from './tool.ts';

export const timeTool: Tool = {
  name: 'time',
  summary: 'ask for the time in four bytes, and compare it with the local clock (RFC 868)',
  examples: [
    ['time localhost:1237', 'over TCP'],
    ['time -u time.example', 'over UDP, on port 37'],
    ['time localhost:1237 | head -1', 'only the time'],
  ],
  define(command, terminal, run) {
    withProtocol(command.argument('<host>', 'HOST or HOST:PORT; default port 37')).action(
      run(async (host: string, options: NetworkOptions) => {
        const result = await time(host, clientOptions(options, terminal));
        const fault = faultOf(result);
        printResult(terminal, options, result, format, fault);
        warnOfLostRequest(terminal, result);
        if (result.length === 8) terminal.complain(`${taken(8)} (GNU inetd sends 8 on 64-bit machines)`);
        return judgeFault(terminal, fault);
      }),
    );
  },
};

function format({ time: date, offsetSeconds, rttMs }: Time): string {
  return `${formatTime(date)}\noffset ${formatOffset(offsetSeconds)}, round trip ${rttMs.toFixed(3)} ms\n`;
}

/** GNU inetd sends 8 bytes on 64-bit machines, of which the first four are right. */
function faultOf({ length }: Time): Fault | undefined {
  if (length === 4 || length === 8) return undefined;
  return { outcome: 'wrong-answer', error: `${taken(length)}, but this may not be a time server` };
}

function taken(length: number): string {
  return `the answer has ${length} bytes instead of 4: using the first four`;
}

/** In local time, formatted like date(1): `Sun Nov 22 11:07:12 UTC 2026`. */
function formatTime(date: Date): string {
  const { year, month, day, hour, minute, second, weekday, abbreviation } = loadTimeZone(null).at(date.getTime());
  const calendarDay = `${weekdays[weekday]} ${months[month - 1]} ${String(day).padStart(2)}`;
  const clock = [hour, minute, second].map((each) => String(each).padStart(2, '0')).join(':');
  return `${calendarDay} ${clock} ${abbreviation} ${year}`;
}

const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

function formatOffset(seconds: number): string {
  if (seconds === 0) return '0 s (the clocks agree)';
  return seconds > 0
    ? `+${seconds} s (the server is ahead of this machine)`
    : `${seconds} s (the server is behind this machine)`;
}
