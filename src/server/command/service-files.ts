/** What `install-service` writes: the shipped units and config, with the paths of this machine. */

/** A file of an installed service: where it belongs, and what stands in it. */
export interface ServiceFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  /** A config belongs to the administrator once it is written; a unit stays ours. */
  readonly kind: 'unit' | 'config';
}

/** Where the program lies; absolute paths. */
export interface ProgramPlaces {
  readonly node: string;
  readonly package: string;
}

/** A kind of installation: its shipped files, and the unit that is started. */
export interface Installation {
  readonly service: string;
  /** Below `systemd` in the package. */
  readonly units: readonly string[];
  /** In `config` of the package. */
  readonly shippedConfig: string;
  readonly config: string;
}

/** What the shipped units say, for a machine where a package manager put them there. */
export const shippedPlaces: ProgramPlaces = { node: '/usr/bin/node', package: '/usr/lib/smallservd' };

/** systemd.unit(5): for units of the administrator, who installs by hand. */
const unitFolder = '/etc/systemd/system';

const streams = ['echo', 'discard', 'systat', 'daytime', 'qotd', 'chargen', 'time'];
const datagrams = ['echo', 'discard', 'daytime', 'time'];

/** The service with the right to bind low ports; sandboxed: the one that systemd passes sockets to. */
export const installations: Readonly<Record<'plain' | 'sandboxed', Installation>> = {
  plain: {
    service: 'smallservd.service',
    units: ['smallservd.service'],
    shippedConfig: 'well-known.yaml',
    config: '/etc/smallservd/smallservd.yaml',
  },
  sandboxed: {
    service: 'smallservd-sandboxed.service',
    units: [
      'smallservd-sandboxed.service',
      ...streams.map((name) => `smallservd-${name}-tcp.socket`),
      ...datagrams.map((name) => `smallservd-${name}-udp.socket`),
      'smallservd-admin.socket',
    ],
    shippedConfig: 'sockets.yaml',
    config: '/etc/smallservd/sockets.yaml',
  },
};

/** How every unit of ours begins. */
const mark = '# Of smallservd.';

/** Whether a unit file is one of ours, and not the administrator's. */
export function isOurs(unit: string): boolean {
  return unit.startsWith(mark);
}

/** The files of an installation. `read` gives the text of a shipped file, by its path in the package. */
export function serviceFiles(
  { units, shippedConfig, config }: Installation,
  places: ProgramPlaces,
  read: (path: string) => string,
): readonly ServiceFile[] {
  return [
    ...units.map((name): ServiceFile => {
      return { path: `${unitFolder}/${name}`, text: withPlaces(read(`systemd/${name}`), places), kind: 'unit' };
    }),
    { path: config, text: read(`config/${shippedConfig}`), kind: 'config' },
  ];
}

/** systemd.unit(5): a path with other characters would have to be quoted, and `%` is a specifier. */
export function isPlainPath(path: string): boolean {
  return /^\/[\w./@+~-]*$/.test(path);
}

function withPlaces(unit: string, places: ProgramPlaces): string {
  return unit.replaceAll(shippedPlaces.node, places.node).replaceAll(shippedPlaces.package, places.package);
}

/** What happens to a file. `existing` is the text that stands there; undefined: there is none. */
export type Verdict = 'write' | 'remove' | 'unchanged' | 'missing' | 'keep' | 'foreign';

/** A config that was changed is kept, a unit that is not ours is `foreign`. */
export function verdictOnInstall({ text, kind }: ServiceFile, existing: string | undefined): Verdict {
  if (existing === undefined) return 'write';
  if (existing === text) return 'unchanged';
  if (kind === 'config') return 'keep';
  return isOurs(existing) ? 'write' : 'foreign';
}

export function verdictOnRemoval({ text, kind }: ServiceFile, existing: string | undefined): Verdict {
  if (existing === undefined) return 'missing';
  if (kind === 'config') return existing === text ? 'remove' : 'keep';
  return isOurs(existing) ? 'remove' : 'foreign';
}

/** The links that `systemctl enable` makes, as unit files name them. */
export function enablingLinks(units: readonly ServiceFile[]): readonly string[] {
  return units.flatMap(({ path, text }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return [...text.matchAll(/^WantedBy=(\S+)$/gm)].map(([, target]) => `${unitFolder}/${target}.wants/${name}`);
  });
}
