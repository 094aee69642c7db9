import { ConfigInvalidError, type ConfigProblem } from '../../errors.ts';
import { formatPath, type Path } from './raw.ts';
import type { Place } from './tree.ts';

interface Found {
  readonly place: Place;
  readonly path: Path;
  readonly message: string | (() => string);
}

/** How many problems are reported one by one. */
const maxReported = 100;

/** Gathers what is wrong in a config, to report it all at once. */
export class Problems {
  readonly #found: Found[] = [];

  /** A message that is costly to make is given as a function: only those that are reported are made. */
  add(place: Place, path: Path, message: string | (() => string)): void {
    this.#found.push({ place, path, message });
  }

  get areAny(): boolean {
    return this.#found.length > 0;
  }

  /** The first hundred of them, and how many more there are. */
  toError(): ConfigInvalidError {
    const distinct = new Map<string, ConfigProblem>();
    let seen = 0;
    // In the order of the file, then the environment, then the command line; each one once.
    for (const found of this.#found.toSorted((one, other) => one.place.rank - other.place.rank)) {
      if (distinct.size === maxReported) break;
      seen += 1;
      const problem = describe(found);
      const key = JSON.stringify(problem);
      if (!distinct.has(key)) distinct.set(key, problem);
    }
    return new ConfigInvalidError([...distinct.values()], this.#found.length - seen);
  }
}

/** A path that the place itself names is not told twice. */
function describe({ place: { where, names }, path, message }: Found): ConfigProblem {
  const isNamed = names !== undefined && names.every((step, index) => path[index] === step);
  const rest = isNamed ? formatPath(path.slice(names.length)) : formatPath(path);
  // Where the path goes on below the one named: `--set services.echo.listen[1]`.
  const joint = isNamed ? (rest === '' || rest.startsWith('[') ? '' : '.') : rest === '' ? '' : ' ';
  return {
    where,
    path: printable(formatPath(path)),
    message: printable(typeof message === 'string' ? message : message()),
    subject: printable(`${where}${joint}${rest}`),
  };
}

/** A config's own words stand in messages, and messages on terminals: an unknown anchor may be named with a control. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
