import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  enablingLinks,
  installations,
  isOurs,
  isPlainPath,
  type ServiceFile,
  serviceFiles,
  shippedPlaces,
  verdictOnInstall,
  verdictOnRemoval,
} from '../../../../src/server/command/service-files.ts';
import { filesIn, read } from '../../../repository/files.ts';

const { plain, sandboxed } = installations;
const elsewhere = { node: '/opt/node/bin/node', package: '/opt/lib/node_modules/smallservd' };
const unit: ServiceFile = {
  path: '/etc/systemd/system/x.service',
  text: '# Installed by smallservd. New\n',
  kind: 'unit',
};
const config: ServiceFile = { path: '/etc/smallservd/x.yaml', text: 'services: {}\n', kind: 'config' };

/** The values of a setting in a unit. */
function settings(text: string, name: string): readonly string[] {
  return [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

/** The lines that say what a service may not do. */
function hardening(text: string): readonly string[] {
  return text.split('\n').filter((line) => /^(?:Protect|Private|Restrict|System|Lock|Keyring|Remove|NoNew)/.test(line));
}

describe('serviceFiles', () => {
  it('returns the shipped files for the paths of a package', () => {
    const files = serviceFiles(plain, shippedPlaces, read);
    expect(files.map(({ path, kind }) => [path, kind])).toEqual([
      ['/etc/systemd/system/smallservd.service', 'unit'],
      ['/etc/smallservd/smallservd.yaml', 'config'],
    ]);
    expect(files.map(({ text }) => text)).toEqual([read('systemd/smallservd.service'), read('config/well-known.yaml')]);
  });

  it.each([plain, sandboxed])('writes the local paths into $service', (installation) => {
    for (const { path, text } of serviceFiles(installation, elsewhere, read)) {
      expect(text, path).not.toContain(shippedPlaces.node);
      expect(text, path).not.toContain(shippedPlaces.package);
    }
    const [service] = serviceFiles(installation, elsewhere, read);
    const program = `${elsewhere.package}/dist/smallservd.js`;
    // A signal that comes before our code is loaded opens Node's debugger to nobody.
    const start = `${elsewhere.node} --inspect-publish-uid=stderr ${program} --config ${installation.config}`;
    expect(settings(service?.text ?? '', 'ExecStart')).toEqual([start]);
    expect(settings(service?.text ?? '', 'ExecReload')[0]).toMatch(
      `${elsewhere.node} ${program} reload --config ${installation.config}`,
    );
  });

  it('covers every shipped unit', () => {
    const named = [...plain.units, ...sandboxed.units].map((name) => `systemd/${name}`);
    expect(named.toSorted()).toEqual(filesIn('systemd').toSorted());
  });

  it('returns files that isOurs recognizes', () => {
    for (const path of filesIn('systemd')) {
      expect(isOurs(read(path)), path).toBe(true);
      expect(read(path).split('\n')[0], path).toMatch(new RegExp(`systemctl edit ${path.split('/')[1]}$`));
    }
    expect(isOurs('[Unit]\nDescription=mine\n')).toBe(false);
  });
});

describe('the sandboxed service', () => {
  const unitText = read('systemd/smallservd-sandboxed.service');
  const sockets = sandboxed.units.filter((name) => name.endsWith('.socket'));

  it('gets all of its sockets and enables them with itself', () => {
    expect(settings(unitText, 'Sockets').toSorted()).toEqual(sockets.toSorted());
    expect(settings(unitText, 'Also').toSorted()).toEqual(sockets.toSorted());
  });

  it('has the sockets named in its config', () => {
    const names = sockets.flatMap((name) => settings(read(`systemd/${name}`), 'FileDescriptorName'));
    const { services, admin } = parse(read('config/sockets.yaml')) as {
      services: Record<string, { listen: string[] }>;
      admin: { listen: string };
    };
    const listens = [...Object.values(services).flatMap(({ listen }) => listen), admin.listen];
    expect(names.map((name) => `systemd:${name}`).toSorted()).toEqual(listens.toSorted());
    for (const name of sockets) expect(settings(read(`systemd/${name}`), 'Service')).toEqual([sandboxed.service]);
  });

  it('listens on the ports and protocols of config/well-known.yaml', () => {
    const { services } = parse(read('config/well-known.yaml')) as { services: Record<string, { listen: string[] }> };
    const wellKnown = Object.entries(services).flatMap(([service, { listen }]) =>
      listen.map((text) => `${service} ${text.replace('://*', '')}`),
    );
    const opened = sockets
      .filter((name) => name !== 'smallservd-admin.socket')
      .flatMap((name) => {
        const text = read(`systemd/${name}`);
        const [service = ''] = (settings(text, 'FileDescriptorName')[0] ?? '').split('-');
        return [
          ...settings(text, 'ListenStream').map((port) => `${service} tcp:${port}`),
          ...settings(text, 'ListenDatagram').map((port) => `${service} udp:${port}`),
        ];
      });
    expect(opened.toSorted()).toEqual(wellKnown.toSorted());
  });

  it('differs from the plain service only in network, user and clock hardening', () => {
    const other = hardening(read('systemd/smallservd.service'));
    const own = hardening(unitText);
    expect(other.filter((line) => !own.includes(line))).toEqual([
      'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
      'SystemCallFilter=adjtimex clock_adjtime',
    ]);
    expect(own.filter((line) => !other.includes(line))).toEqual([
      'PrivateNetwork=yes',
      'PrivateUsers=yes',
      'ProtectClock=yes',
      'RestrictAddressFamilies=AF_UNIX AF_NETLINK',
    ]);
  });
});

describe('verdicts', () => {
  it.each([
    [unit, undefined, 'write', 'missing'],
    [unit, unit.text, 'unchanged', 'remove'],
    [unit, '# Installed by smallservd. Old\n', 'write', 'remove'],
    [unit, '[Unit]\n', 'foreign', 'foreign'],
    [config, undefined, 'write', 'missing'],
    [config, config.text, 'unchanged', 'remove'],
    [config, 'services: { echo: {} }\n', 'keep', 'keep'],
  ] as const)('for %o over existing %j: %s on install, %s on removal', (file, existing, install, remove) => {
    expect(verdictOnInstall(file, existing)).toBe(install);
    expect(verdictOnRemoval(file, existing)).toBe(remove);
  });
});

describe('enablingLinks', () => {
  it('returns the links that systemctl creates', () => {
    const links = enablingLinks(serviceFiles(sandboxed, shippedPlaces, read));
    expect(links).toHaveLength(sandboxed.units.length);
    expect(links).toContain('/etc/systemd/system/multi-user.target.wants/smallservd-sandboxed.service');
    expect(links).toContain('/etc/systemd/system/sockets.target.wants/smallservd-echo-udp.socket');
  });
});

describe('isPlainPath', () => {
  it.each(['/usr/bin/node', '/opt/node-v26.1.0_x/bin/node', '/opt/@scope/a+b~1/node'])('accepts %s', (path) => {
    expect(isPlainPath(path)).toBe(true);
  });

  it.each(['/opt/my node', '/opt/100%/node', '/opt/a"b', "/opt/a'b", '/opt/a\\b', '/opt/a;b', '/opt/$x', 'bin/node'])(
    'rejects %s',
    (path) => {
      expect(isPlainPath(path)).toBe(false);
    },
  );
});
