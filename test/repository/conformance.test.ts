import { describe, expect, it } from 'vitest';
import { services } from '../../src/services/index.ts';
import { covered } from '../wire/cases.ts';

describe('conformance cases', () => {
  it.each(services.map(({ name }) => name))('%s has cases over TCP and over UDP', (name) => {
    expect([...covered.stream]).toContain(name);
    expect([...covered.datagram]).toContain(name);
  });

  it('exist only for known services', () => {
    const names = services.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...covered.stream, ...covered.datagram]));
  });
});
