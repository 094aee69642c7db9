import { FileError, readRegularFile } from '../regular-file.ts';
import { ConfigError, type ServiceModule } from '../service.ts';
import { builtInQuotations, parseQuotations } from './quotations.ts';

export type QotdOptions = {
  /** Null for the built-in list. */
  readonly file: string | null;
  readonly choice: 'random' | 'daily';
};

const dayMs = 86_400_000;

/** More than all of fortune. The file is parsed in one go, which blocks the process. */
const maxFileBytes = 4 * 2 ** 20;

/** RFC 865: one quotation of fewer than 512 characters. */
export const qotd: ServiceModule<QotdOptions> = {
  name: 'qotd',
  summary: 'sends a quotation',
  rfc: 865,
  port: 17,
  udpHazard: 'it sends a quotation to any forged source address',
  options: {
    file: {
      doc: 'A file of quotations, one per line or separated by lines of a single %. Null is the built-in list.',
      format: 'file',
      default: null,
    },
    choice: {
      doc: 'A random quotation for each client, or the same one for everyone all day (UTC).',
      format: ['random', 'daily'],
      default: 'random',
    },
  },
  async create({ file, choice }, context) {
    const quotations = file === null ? builtInQuotations : parseQuotations(await readText(file), file);
    const byLength = quotations.toSorted((one, other) => one.length - other.length);

    function ofTheDay(limit: number): Uint8Array | undefined {
      const day = Math.floor(context.now().getTime() / dayMs);
      const quotation = quotations.at(day % quotations.length);
      return quotation !== undefined && quotation.length <= limit ? quotation : undefined;
    }

    function atRandom(limit: number): Uint8Array | undefined {
      const fitting = countFitting(byLength, limit);
      return fitting === 0 ? undefined : byLength[Math.floor(context.random() * fitting)];
    }

    const choose = choice === 'daily' ? ofTheDay : atRandom;
    return {
      stream: (client) => client.end(choose(Infinity)),
      datagram: (_request, limit) => choose(limit),
    };
  },
};

/** How many quotations have at most `limit` bytes. They are sorted by length. */
function countFitting(byLength: readonly Uint8Array[], limit: number): number {
  let low = 0;
  let high = byLength.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((byLength[middle]?.length ?? Infinity) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function readText(file: string): Promise<string> {
  try {
    return (await readRegularFile(file, maxFileBytes)).toString('latin1');
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError(`cannot be read: ${error.message}`, { option: 'file', file });
  }
}
