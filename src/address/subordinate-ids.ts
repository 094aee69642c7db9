import { readDatabase } from './system-database.ts';

/** User ids that users may take in addition to their own, for containers, usually 65,536 each. See subuid(5). */
export class SubordinateIds {
  readonly #ranges: readonly { readonly start: number; readonly end: number; readonly owner: number }[];

  /** Takes the contents of /etc/subuid and /etc/passwd. Malformed lines are skipped. */
  constructor(subuid: string, passwd: string) {
    const ids = new Map(linesOf(passwd).map(([name = '', , uid = '']) => [name, uid]));
    this.#ranges = linesOf(subuid).flatMap(([name = '', start = '', count = '']) => {
      if (!isNumber(start) || !isNumber(count)) return [];
      const uid = isNumber(name) ? name : ids.get(name);
      // A user known only to a network directory is represented by the first id of the range.
      const owner = uid !== undefined && isNumber(uid) ? uid : start;
      return [{ start: Number(start), end: Number(start) + Number(count), owner: Number(owner) }];
    });
  }

  /** Reads the current ids of this machine. */
  static read(): SubordinateIds {
    return new SubordinateIds(readDatabase('/etc/subuid'), readDatabase('/etc/passwd'));
  }

  /** The user who may take the id, or the id itself if it is not subordinate. */
  ownerOf(uid: number): number {
    // Ranges may overlap. The first match wins.
    return this.#ranges.find(({ start, end }) => uid >= start && uid < end)?.owner ?? uid;
  }
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

function linesOf(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.split(':'));
}
