import { expect, test } from 'vitest';
import { canonicalNameInHosts } from '../../../src/address/hosts-file.ts';

const text = `127.0.0.1 localhost
::1 ip6-localhost ip6-loopback localhost
192.0.2.1\tWww.Example  www web # the-web
192.0.2.2 web
#192.0.2.3 commented
192.0.2.4
`;

test.each([
  ['localhost', 'localhost'],
  ['ip6-loopback', 'ip6-localhost'],
  ['web', 'Www.Example'],
  ['WEB', 'Www.Example'],
  ['www.example', 'Www.Example'],
  ['the-web', undefined],
  ['commented', undefined],
  ['192.0.2.1', undefined],
  ['', undefined],
])('canonicalNameInHosts maps "%s" to %s', (host, canonical) => {
  expect(canonicalNameInHosts(text, host)).toBe(canonical);
});
