import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writePlots } from '../../../bench/plot.ts';
import { results, sample, work } from './fixtures.ts';

const directory = mkdtempSync(join(tmpdir(), 'smallservd-plots-'));
afterAll(() => rmSync(directory, { recursive: true }));

const samples = { 'smallservd-26': [sample(90)], c: [sample(100)] };

test('results become SVG in both themes', () => {
  const works = [work('tcp-echo-64', 64, samples), work('tcp-echo-1000', 1000, samples)];
  expect(writePlots(results(works), directory).map(({ name }) => name)).toEqual(['bench-rates', 'bench-clients']);
  expect(readdirSync(directory).sort()).toEqual(
    ['clients', 'rates'].flatMap((name) => [`bench-${name}-dark.svg`, `bench-${name}-light.svg`]),
  );
  const svg = readFileSync(join(directory, 'bench-rates-light.svg'), 'utf8');
  expect(svg).toMatch(/^<svg [^>]*viewBox=/);
  expect(svg).toContain('>0.90</text>');
  expect(svg).toContain('smallservd, Node 26');
  // A quote in a value would make it invalid.
  expect(svg.replaceAll(/ [\w:-]+="[^"]*"/g, '').match(/<[^>]*"[^>]*>/)).toBeNull();
});

test('without anything to compare there is no plot', () => {
  expect(writePlots(results([work('tcp-echo-64', 64, { c: [sample(100)] })]), directory)).toEqual([]);
});
