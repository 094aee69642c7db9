import { ConfigInvalidError, type ConfigProblem } from '../../errors.ts';
import { formatPath, type Path } from './raw.ts';
import { type ConfigNode, type Place, placeAt } from './tree.ts';

/**
 * Reports a problem with the value at a path. A message that is costly to make is given as a function. `part`: 'key'
 * places it at the key. `where` replaces the place by one in another file.
 */
export type Report = (
  path: Path,
  message: string | (() => string),
  at?: { readonly part?: 'key'; readonly where?: string },
) => void;

interface Found {
  readonly place: Place;
  readonly path: Path;
  readonly message: string | (() => string);
}

/** Maximum number of problems reported individually. */
const maxReported = 100;
/** Problems kept to choose those from, as some are duplicates. A large file of junk has tens of thousands. */
const maxKept = 1000;

/** Collects the problems in a config, to report them together. */
export class Problems {
  #found: Found[] = [];
  #unnamed = 0;

  /** A message that is costly to build is passed as a function, called only if it is reported. */
  add(place: Place, path: Path, message: string | (() => string)): void {
    this.#found.push({ place, path, message });
    if (this.#found.length === 2 * maxKept) this.#keepFirst();
  }

  /** Counts a problem that is not worth a message any more. */
  addUnnamed(): void {
    this.#unnamed += 1;
  }

  /** Returns what reports problems in this tree. */
  reporter(root: ConfigNode): Report {
    return (path, message, { part, where } = {}) => {
      const place = placeAt(root, path, part ?? 'value');
      this.add(where === undefined ? place : { ...place, where, names: undefined }, path, message);
    };
  }

  get areAny(): boolean {
    return this.#found.length > 0;
  }

  /** Returns an error with the first hundred problems and the number of the others. */
  toError(): ConfigInvalidError {
    // Without duplicates.
    const distinct = new Map<string, ConfigProblem>();
    let seen = 0;
    for (const found of this.#inOrder()) {
      if (distinct.size === maxReported) break;
      seen += 1;
      const problem = describe(found);
      const key = JSON.stringify(problem);
      if (!distinct.has(key)) distinct.set(key, problem);
    }
    return new ConfigInvalidError([...distinct.values()], this.#found.length - seen + this.#unnamed);
  }

  /** Only counts the others, which cannot be among the first hundred any more. */
  #keepFirst(): void {
    this.#unnamed += this.#found.length - maxKept;
    this.#found = this.#inOrder().slice(0, maxKept);
  }

  /** In the order of file, environment, command line. */
  #inOrder(): Found[] {
    return this.#found.toSorted((one, other) => one.place.rank - other.place.rank);
  }
}

function describe({ place, path, message }: Found): ConfigProblem {
  return {
    where: place.where,
    path: printable(formatPath(path)),
    message: printable(typeof message === 'string' ? message : message()),
    subject: printable(subjectOf(place, path)),
  };
}

/** Does not repeat a path that the place itself names. */
function subjectOf({ where, names }: Place, path: Path): string {
  if (path.length === 0) return where;
  if (names === undefined) return `${where} ${formatPath(path)}`;
  if (!names.every((step, index) => path[index] === step)) return `${formatPath(path)} (${where})`;
  // The path may continue below the named key: `--set services.echo.listen[1]`.
  const rest = formatPath(path.slice(names.length));
  return `${where}${rest === '' || rest.startsWith('[') ? '' : '.'}${rest}`;
}

/** Messages quote the config and reach terminals, and the name of an unknown anchor may contain control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
