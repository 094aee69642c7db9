import { describe, expect, it } from 'vitest';
import { services } from '../../src/services/index.ts';
import { transportsOf } from '../support/transports.ts';
import { covered } from '../wire/cases.ts';

describe('conformance cases', () => {
  it.each(services.map(({ name }) => name))('%s has cases over every transport that it answers', (name) => {
    for (const transport of transportsOf(name)) expect([...covered[transport]]).toContain(name);
  });

  it('exist only for known services', () => {
    const names = services.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...covered.tcp, ...covered.udp]));
  });
});
