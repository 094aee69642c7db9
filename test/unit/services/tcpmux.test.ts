import { describe, expect, it } from 'vitest';
import { ConfigError, type Service } from '../../../src/service.ts';
import { chargen } from '../../../src/services/chargen.ts';
import { daytime } from '../../../src/services/daytime.ts';
import { discard } from '../../../src/services/discard.ts';
import { echo } from '../../../src/services/echo.ts';
import { type TcpmuxOptions, tcpmux } from '../../../src/services/tcpmux.ts';
import { FakeConnection } from '../../support/fake-client.ts';
import { FakeContext } from '../../support/fake-context.ts';

const context = new FakeContext();

const everyService: Readonly<Record<string, Service>> = {
  echo: await echo.create({}, context),
  discard: await discard.create({}, context),
  chargen: await chargen.create({}, context),
  'daytime-utc': await daytime.create({ format: 'iso8601', zone: 'UTC', whenUnsynchronized: 'answer' }, context),
};

function createIn(
  services: FakeContext,
  options: Partial<TcpmuxOptions> = {},
): { readonly service: Service; readonly context: FakeContext } {
  for (const [name, service] of Object.entries(everyService))
    services.services.set(name, { type: name, transport: undefined, stream: (client) => service.stream?.(client) });
  const made = tcpmux.create({ services: Object.keys(everyService), nameTimeout: 10_000, ...options }, services);
  return { service: made as Service, context: services };
}

function connection(options?: Partial<TcpmuxOptions>): FakeConnection {
  return new FakeConnection(createIn(new FakeContext(), options).service);
}

describe('tcpmux', () => {
  it('gives a long list in pieces, at the pace of the client', () => {
    const many = new FakeContext();
    const names = Array.from({ length: 2000 }, (_, number) => `${'a'.repeat(40)}${number}`);
    for (const name of names) many.services.set(name, { type: 'echo', transport: undefined, stream: () => undefined });
    const talk = new FakeConnection(createIn(many, { services: names }).service);
    talk.send('help\r\n');
    talk.finish();
    expect(talk.client.bytes.length).toBeLessThanOrEqual(65_536);
    for (let count = 0; !talk.client.ended && count < 100; count += 1) talk.drain();
    expect(talk.client.text).toBe(names.map((name) => `${name}\r\n`).join(''));
  });

  it('lists the names for HELP, one per line, and closes', () => {
    const talk = connection();
    talk.send('HELP\r\n');
    expect(talk.client.text).toBe('echo\r\ndiscard\r\nchargen\r\ndaytime-utc\r\n');
    expect(talk.client.ended).toBe(true);
  });

  it('offers nothing by default', () => {
    const defaults = Object.fromEntries(Object.entries(tcpmux.options).map(([key, spec]) => [key, spec.default]));
    expect(defaults).toMatchObject({ services: [] });
    const talk = connection({ services: [] });
    talk.send('HELP\r\n');
    expect(talk.client).toMatchObject({ text: '', ended: true });
    const other = connection({ services: [] });
    other.send('echo\r\n');
    expect(other.client.text).toMatch(/^-/);
  });

  it.each(['echo\r\n', 'ECHO\r\n', 'Echo\n'])(
    'hands a client to a service, whatever the case of its name: %j',
    (line) => {
      const talk = connection();
      talk.send(line);
      expect(talk.client.text).toBe('+\r\n');
      talk.send('hello');
      expect(talk.client.text).toBe('+\r\nhello');
      expect(talk.client.ended).toBe(false);
      talk.finish();
      expect(talk.client.ended).toBe(true);
    },
  );

  it('takes a name byte by byte, and passes on what follows it', () => {
    const talk = connection();
    for (const character of 'echo\r') talk.send(character);
    expect(talk.client.text).toBe('');
    talk.send('\nand\r\nmore');
    expect(talk.client.text).toBe('+\r\nand\r\nmore');
  });

  it('acknowledges a service that answers at once before its answer', () => {
    const talk = connection();
    talk.send('daytime-utc\r\nignored');
    expect(talk.client.text).toBe('+\r\n2026-11-22T11:07:12+00:00\r\n');
    expect(talk.client.ended).toBe(true);
  });

  it('passes on drained, end and closed', () => {
    const talk = connection();
    talk.drain();
    expect(talk.client.writes).toEqual([]);
    talk.send('chargen\r\n');
    const { length } = talk.client.bytes;
    talk.drain();
    expect(talk.client.bytes.length).toBeGreaterThan(length);
    // The client's FIN does not stop chargen.
    talk.finish();
    expect(talk.client.ended).toBe(false);

    const reasons: string[] = [];
    const closing = new FakeContext();
    closing.services.set('closing', {
      type: 'closing',
      transport: undefined,
      stream: () => ({ closed: (reason) => reasons.push(reason) }),
    });
    const { service } = createIn(closing, { services: ['closing'] });
    const other = new FakeConnection(service);
    other.send('closing\r\n');
    other.close('client-reset');
    expect(reasons).toEqual(['client-reset']);
  });

  it('serves a service without handlers, whose input is discarded', () => {
    const talk = connection();
    talk.send('discard\r\ninput');
    talk.send('more');
    talk.drain();
    talk.finish();
    talk.close('completed');
    expect(talk.client).toMatchObject({ text: '+\r\n', ended: true });
  });

  it.each([
    ['an unknown name', 'nothing\r\n'],
    ['an empty name', '\r\n'],
    ['a name of Object', 'constructor\r\n'],
    ['bytes that no terminal should see', '\x1b[2J\0\xff\r\n'],
    ['a name with a space', 'echo \r\n'],
    ['256 bytes', `${'x'.repeat(256)}\r\n`],
    ['257 bytes without an end', 'x'.repeat(257)],
  ])('refuses %s in one printable line, without repeating it', (_name, sent) => {
    const talk = connection();
    talk.send(sent);
    expect(talk.client.text).toMatch(/^-[ -~]+\r\n$/);
    expect(talk.client.text).not.toContain(sent.trim().slice(0, 8) || 'never');
    expect(talk.client.ended).toBe(true);
  });

  it('refuses a client that finishes without a name', () => {
    const talk = connection();
    talk.send('ech');
    talk.finish();
    expect(talk.client).toMatchObject({ text: '-No service name\r\n', ended: true });
  });

  it('refuses a client that has not named a service when nameTimeout is over', async () => {
    const { service, context: own } = createIn(new FakeContext(), { nameTimeout: 10_000 });
    const [slow, named, gone] = [0, 1, 2].map(() => new FakeConnection(service));
    expect([...own.delayed].map(({ ms }) => ms)).toEqual([10_000, 10_000, 10_000]);
    slow?.send('ech');
    named?.send('echo\r\n');
    gone?.close('client-reset');
    expect(own.delayed.size).toBe(1);
    await own.runDelayed();
    expect(slow?.client).toMatchObject({ text: '-No service name\r\n', ended: true });
    expect(named?.client).toMatchObject({ text: '+\r\n', ended: false });
    expect(gone?.client.ended).toBe(false);
  });

  it.each([
    ['no service', 'other', '"other" is not a service of this config'],
    ['a tcpmux', 'mux', '"mux" is a tcpmux, which clients cannot be handed to'],
    ['a service over UDP', 'stamp', '"stamp" answers over UDP only, so clients cannot be handed to it'],
    ['help', 'help', '"help" is reserved for the list of names: expected another name (RFC 1078)'],
  ])('rejects a name that means %s', (_name, name, message) => {
    const own = new FakeContext();
    own.services.set('mux', { type: 'tcpmux', transport: 'tcp', stream: () => undefined });
    own.services.set('help', { type: 'echo', transport: undefined, stream: () => undefined });
    own.services.set('stamp', { type: 'stamp', transport: 'udp', stream: () => undefined });
    const creating = (): unknown => createIn(own, { services: ['echo', name] });
    expect(creating).toThrow(ConfigError);
    expect(creating).toThrow(expect.objectContaining({ option: 'services', message }));
  });
});
