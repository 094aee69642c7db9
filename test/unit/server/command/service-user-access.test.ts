import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { whyOutOfReach } from '../../../../src/server/command/service-user-access.ts';

/** Permission bits by path; every other directory is open to all. */
function modes(special: Readonly<Record<string, number>> = {}): (path: string) => number {
  return (path) => special[path] ?? 0o40755;
}

describe('whyOutOfReach', () => {
  it.each(['/usr/bin/node', '/opt/node/bin/node', '/homes/node', '/rooted/node', '/node', '/var/tmpfiles/node'])(
    'accepts %s',
    (path) => {
      expect(whyOutOfReach(path, modes())).toBeUndefined();
    },
  );

  it.each([
    ['/root/.nvm/versions/node/v20.20.2/bin/node', 'is in /root, which is hidden from the service (ProtectHome)'],
    ['/home/eve/smallservd', 'is in /home, which is hidden from the service (ProtectHome)'],
    ['/run/user/1000/node', 'is in /run/user, which is hidden from the service (ProtectHome)'],
    ['/tmp/node', 'is in /tmp, which is hidden from the service (PrivateTmp)'],
    ['/var/tmp/x/node', 'is in /var/tmp, which is hidden from the service (PrivateTmp)'],
    ['/home', 'is in /home, which is hidden from the service (ProtectHome)'],
  ])('reports %s as hidden regardless of its mode', (path, why) => {
    expect(whyOutOfReach(path, modes())).toBe(why);
  });

  it('names the first directory closed to others, and its mode', () => {
    const special = { '/opt/closed': 0o40750, '/opt/closed/deeper': 0o40700 };
    const why = 'is in /opt/closed, which other users may not enter (mode 750)';
    expect(whyOutOfReach('/opt/closed/deeper/node', modes(special))).toBe(why);
  });

  it('needs execute but not read permission on a directory', () => {
    expect(whyOutOfReach('/opt/x/node', modes({ '/opt/x': 0o40711 }))).toBeUndefined();
    expect(whyOutOfReach('/opt/x/node', modes({ '/opt/x': 0o40754 }))).toMatch(/^is in \/opt\/x, .*\(mode 754\)$/);
  });

  it('needs read permission on the file', () => {
    const why = 'cannot be read by other users (mode 750)';
    expect(whyOutOfReach('/opt/node', modes({ '/opt/node': 0o100750 }))).toBe(why);
    expect(whyOutOfReach('/opt/node', modes({ '/opt/node': 0o100604 }))).toBeUndefined();
  });

  it('checks only the permission bits for others', () => {
    const bits = fc.integer({ min: 0, max: 0o777 });
    fc.assert(
      fc.property(bits, bits, (directory, file) => {
        const why = whyOutOfReach('/opt/node', modes({ '/opt': 0o40000 | directory, '/opt/node': 0o100000 | file }));
        expect(why === undefined).toBe((directory & 0o001) !== 0 && (file & 0o004) !== 0);
      }),
    );
  });
});
