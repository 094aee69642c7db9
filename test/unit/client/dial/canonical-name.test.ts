import { describe, expect, test } from 'vitest';
import { canonicalName, type CnameLookup, type NameSources } from '../../../../src/client/dial/canonical-name.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { until } from '../../../support/wait.ts';

const patience = { timeoutMs: 5000 };
const addresses: NameSources['addresses'] = (_host, _family, done) => done(null, [{ address: '192.0.2.1', family: 4 }]);

/** Name servers that know these CNAME records; `asked` keeps the questions. */
function server(records: Readonly<Record<string, string>>, asked: string[] = []): CnameLookup {
  return (name, done) => {
    asked.push(name);
    const found = records[name];
    if (found === undefined) done(Object.assign(new Error('queryCname'), { code: 'ENODATA' }), []);
    else done(null, [found]);
    return () => {};
  };
}

function failing(code: string): CnameLookup {
  return (_name, done) => {
    done(Object.assign(new Error('queryCname'), { code }), []);
    return () => {};
  };
}

const nobody: CnameLookup = () => {
  throw new Error('a name server was asked');
};

describe('canonicalName', () => {
  test('follows CNAME records', async () => {
    const asked: string[] = [];
    const cnames = server({ 'www.example': 'web.example', 'web.example': 'host7.example' }, asked);
    expect(await canonicalName('www.example', 'both', patience, { addresses, hosts: '', cnames })).toBe(
      'host7.example.',
    );
    expect(asked).toEqual(['www.example', 'web.example', 'host7.example']);
  });

  test.each(['host7.example', 'host7.example.'])('fully qualifies %s if it has no CNAME record', async (host) => {
    const sources = { addresses, hosts: '', cnames: server({}) };
    expect(await canonicalName(host, 'both', patience, sources)).toBe('host7.example.');
  });

  test('takes the first name of a hosts file entry without querying name servers', async () => {
    const sources = { addresses, hosts: '192.0.2.1 host7.example www.example\n', cnames: nobody };
    expect(await canonicalName('www.example', 'both', patience, sources)).toBe('host7.example.');
  });

  test.each(['localhost', 'LOCALHOST.', 'www.localhost'])('does not query name servers for %s', async (host) => {
    const sources = { addresses, hosts: '', cnames: nobody };
    expect(await canonicalName(host, 'both', patience, sources)).toBe(`${host.replace(/\.$/, '')}.`);
  });

  test.each(['ENODATA', 'ENOTFOUND', 'ECONNREFUSED'])('returns the name itself on %s', async (code) => {
    const sources = { addresses, hosts: '', cnames: failing(code) };
    expect(await canonicalName('a.example', 'both', patience, sources)).toBe('a.example.');
  });

  test.each([
    ['ESERVFAIL', 'the name server failed'],
    ['EREFUSED', 'the name server refuses to answer'],
    ['ETIMEOUT', 'no name server answers'],
  ])('fails on %s', async (code, reason) => {
    const sources = { addresses, hosts: '', cnames: failing(code) };
    const message = `cannot look up the CNAME of a.example: ${reason}`;
    await expect(canonicalName('a.example', 'both', patience, sources)).rejects.toMatchObject({
      code: 'HOST_NOT_FOUND',
      message,
    });
  });

  test('fails on a CNAME loop', async () => {
    const sources = { addresses, hosts: '', cnames: server({ 'a.example': 'b.example', 'b.example': 'a.example' }) };
    const found = canonicalName('a.example', 'both', patience, sources);
    await expect(found).rejects.toMatchObject({ code: 'HOST_NOT_FOUND' });
  });

  test('fails if the host has no address', async () => {
    const none: NameSources = { addresses: (_host, _family, done) => done(null, []), hosts: '', cnames: nobody };
    const found = canonicalName('a.example', 'ipv6', patience, none);
    await expect(found).rejects.toMatchObject({ code: 'HOST_NOT_FOUND', message: 'a.example has no IPv6 address' });
  });

  test.each([
    ['timeout', 'HOST_NOT_FOUND', (clock: FakeClock) => clock.advance(5000)],
    ['interrupt', 'INTERRUPTED', (_clock: FakeClock, abort: AbortController) => abort.abort()],
  ] as const)('cancels the query on %s', async (_what, code, happen) => {
    const clock = new FakeClock();
    const abort = new AbortController();
    const log: string[] = [];
    const cnames: CnameLookup = () => {
      log.push('asked');
      return () => log.push('cancelled');
    };
    const impatient = { timeoutMs: 5000, clock, signal: abort.signal };
    const found = canonicalName('a.example', 'both', impatient, { addresses, hosts: '', cnames });
    await until(() => log.length === 1, 'the question');
    happen(clock, abort);
    await expect(found).rejects.toMatchObject({ code });
    expect(log).toEqual(['asked', 'cancelled']);
  });
});
