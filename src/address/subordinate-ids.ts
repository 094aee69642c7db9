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
  /** In the order of their starts. */
  readonly #ranges: readonly Range[];

  /** From the texts of /etc/subuid and of /etc/passwd. Lines that are wrong, or of no user, are left out. */
  constructor(subuid: string, passwd: string) {
    const ids = new Map(linesOf(passwd).map(([name = '', , uid = '']) => [name, uid]));
    this.#ranges = linesOf(subuid)
      .flatMap(([name = '', start = '', count = '']) => {
        const owner = ids.get(name) ?? name;
        return [owner, start, count].every((each) => /^\d{1,10}$/.test(each))
          ? [{ start: Number(start), end: Number(start) + Number(count), owner: Number(owner) }]
          : [];
      })
      .sort((one, other) => one.start - other.start);
  }

  /** Those of this machine, as of now. */
  static read(): SubordinateIds {
    return new SubordinateIds(readDatabase('/etc/subuid'), readDatabase('/etc/passwd'));
  }

  /** The user who may take the id; the id itself where it is nobody's but its own. */
  ownerOf(uid: number): number {
    let first = 0;
    let last = this.#ranges.length - 1;
    while (first <= last) {
      const middle = (first + last) >> 1;
      const range = this.#ranges[middle] as Range;
      if (uid < range.start) last = middle - 1;
      else if (uid < range.end) return range.owner;
      else first = middle + 1;
    }
    return uid;
  }
}

function linesOf(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'));
}
