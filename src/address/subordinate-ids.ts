import { readDatabase } from './system-database.ts';

interface Range {
  readonly start: number;
  readonly end: number;
  readonly owner: number;
}

/**
 * The user ids that users may take besides their own, for containers: some 65,536 each. subuid(5)
 */
export class SubordinateIds {
  readonly #ranges: readonly Range[];

  /** From the texts of /etc/subuid and of /etc/passwd. Lines that are wrong are left out. */
  constructor(subuid: string, passwd: string) {
    const ids = new Map(linesOf(passwd).map(([name = '', , uid = '']) => [name, uid]));
    this.#ranges = linesOf(subuid).flatMap(([name = '', start = '', count = '']) => {
      if (!isNumber(start) || !isNumber(count)) return [];
      const uid = isNumber(name) ? name : ids.get(name);
      // A user whom only the network's directory knows is known by the first of the ids.
      const owner = uid !== undefined && isNumber(uid) ? uid : start;
      return [{ start: Number(start), end: Number(start) + Number(count), owner: Number(owner) }];
    });
  }

  /** Those of this machine, as of now. */
  static read(): SubordinateIds {
    return new SubordinateIds(readDatabase('/etc/subuid'), readDatabase('/etc/passwd'));
  }

  /** The user who may take the id; the id itself where it is nobody's but its own. */
  ownerOf(uid: number): number {
    // Ranges may overlap: the first that has it decides.
    return this.#ranges.find(({ start, end }) => uid >= start && uid < end)?.owner ?? uid;
  }
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

function linesOf(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'));
}
