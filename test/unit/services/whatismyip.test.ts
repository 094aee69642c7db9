import { describe, expect, it } from 'vitest';
import type { PeerAddress, ServiceModule } from '../../../src/service.ts';
import { FakeClient, FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';

interface Example {
  readonly default: ServiceModule<{ readonly format: 'text' | 'json' }>;
}

const location = new URL('../../../examples/whatismyip/whatismyip.js', import.meta.url);
const { default: whatismyip } = (await import(location.href)) as Example;

const ipv4: PeerAddress = { family: 'ipv4', address: '192.0.2.7', port: 51_234 };
const ipv6: PeerAddress = { family: 'ipv6', address: '2001:db8::7', port: 51_234 };
const unix: PeerAddress = { family: 'unix', address: '', port: 0 };

describe('the example whatismyip', () => {
  it.each([
    ['text', ipv4, '192.0.2.7:51234'],
    ['text', ipv6, '[2001:db8::7]:51234'],
    ['text', unix, 'unix'],
    ['json', ipv4, '{"family":"ipv4","address":"192.0.2.7","port":51234}'],
    ['json', ipv6, '{"family":"ipv6","address":"2001:db8::7","port":51234}'],
    ['json', unix, '{"family":"unix"}'],
  ] as const)('answers in %s', async (format, peer, line) => {
    const service = await whatismyip.create({ format }, new FakeContext());
    const { client } = new FakeConnection(service, new FakeClient(peer));
    expect(client).toMatchObject({ text: `${line}\r\n`, ended: true });
  });

  it('does not support UDP', async () => {
    expect(whatismyip.name).toBe('whatismyip');
    expect(await whatismyip.create({ format: 'text' }, new FakeContext())).not.toHaveProperty('datagram');
  });
});
