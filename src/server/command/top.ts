import { styleText } from 'node:util';
import { type ColorChoice, wantsColor } from '../../color.ts';
import { SmallservdError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../../exit-codes.ts';
import { noData, withEvent } from '../top/data.ts';
import { leastColumns, renderAll } from '../top/frame.ts';
import { glyphsOf, type Span } from '../top/text.ts';
import { Top } from '../top/top.ts';
import { firstView } from '../top/view.ts';
import { type AdminOptions, adminClient } from './admin.ts';

export interface TopOptions extends AdminOptions {
  readonly once?: true;
  readonly color: ColorChoice;
}

/** The width of a frame that goes into a file, unless COLUMNS says another that makes sense. */
const usualColumns = 80;
const mostColumns = 1000;

/**
 * `smallservd top`: 0 when it is ended; with `--once` as `status`. Rejects with `ADMIN_UNREACHABLE`, and with
 * `ARGUMENT_INVALID` where it cannot draw.
 */
export async function top(options: TopOptions, process: NodeJS.Process): Promise<ExitCode> {
  const { env, stdin, stdout } = process;
  const isTerminal = stdin.isTTY && stdout.isTTY;
  if (!options.once && (!isTerminal || env['TERM'] === 'dumb')) {
    const place = isTerminal ? 'a terminal with a cursor (TERM is dumb)' : 'a terminal as standard input and output';
    throw new SmallservdError('ARGUMENT_INVALID', `top needs ${place}: use top --once, status or status --watch`);
  }
  const client = await adminClient(options);
  const glyphs = glyphsOf(env);
  const paint = painter(wantsColor(options.color, stdout.isTTY, env));
  if (!options.once) {
    await new Top(process, client, { glyphs, paint }).run();
    return exitCodes.stopped;
  }
  const data = (await client.firstEvents()).reduce(withEvent, noData);
  const columns = stdout.isTTY ? stdout.columns : Number(env['COLUMNS']);
  const width = columns >= leastColumns && columns <= mostColumns ? columns : usualColumns;
  const lines = renderAll({ endpoint: client.name, data, view: firstView }, width, glyphs);
  stdout.write(lines.map((line) => `${line.map(paint).join('').trimEnd()}\n`).join(''));
  return data.statuses.at(-1)?.notReady.length === 0 ? exitCodes.stopped : exitCodes.failed;
}

function painter(isColored: boolean): (span: Span) => string {
  return ({ text, style }) =>
    isColored && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
}
