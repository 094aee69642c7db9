import type { ConfigProblem } from '../../errors.ts';

/** Where a value comes from, and its rank in the order in which problems are reported. */
export interface Place {
  readonly where: string;
  readonly rank: number;
}

/** Gathers what is wrong in a config, to report it all at once. */
export class Problems {
  readonly #found: { readonly problem: ConfigProblem; readonly rank: number }[] = [];

  add(place: Place, path: string, message: string): void {
    // A config's own words stand in messages, and messages on terminals: an unknown anchor may be named with a control
    // character.
    const problem = { where: place.where, path: printable(path), message: printable(message) };
    this.#found.push({ problem, rank: place.rank });
  }

  /** In the order of the file, then the environment, then the command line; each one once. */
  sorted(): readonly ConfigProblem[] {
    const distinct = new Map<string, ConfigProblem>();
    for (const { problem } of this.#found.toSorted((one, other) => one.rank - other.rank)) {
      const key = JSON.stringify(problem);
      if (!distinct.has(key)) distinct.set(key, problem);
    }
    return [...distinct.values()];
  }
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
