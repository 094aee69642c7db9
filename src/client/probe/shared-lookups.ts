import type { AddressLookup } from '../dial/resolve-host.ts';

type Done = Parameters<AddressLookup>[2];

/** A lookup that asks only once for each name and family, however many targets have it. */
export function sharedLookups(lookup: AddressLookup): AddressLookup {
  const answers = new Map<string, Parameters<Done>>();
  const waiting = new Map<string, Done[]>();
  return (host, family, done) => {
    const key = `${family} ${host}`;
    const answer = answers.get(key);
    if (answer !== undefined) return done(...answer);
    const others = waiting.get(key);
    if (others !== undefined) return void others.push(done);
    const all = [done];
    waiting.set(key, all);
    lookup(host, family, (...found) => {
      answers.set(key, found);
      for (const each of all) each(...found);
    });
  };
}
