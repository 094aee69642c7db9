import { describe, expect, it } from 'vitest';
import { pageAssets } from '../../../../src/server/admin/page-assets.ts';

const texts = new Map(pageAssets.map(({ path, body }) => [path, body.toString()]));
const own = [...texts].filter(([path]) => !path.includes('uplot'));
const html = texts.get('/') ?? '';

/** What a file refers to, as the browser resolves it, if the page is served at `base`. */
function referencesOf(path: string, base: string): readonly string[] {
  const text = texts.get(path) ?? '';
  const found = path === '/' ? /\b(?:src|href)="([^"#]+)"/g : /\bfrom '([^']+)'/g;
  return [...text.matchAll(found)].map(([, to = '']) => new URL(to, `${base}${path.slice(1)}`).href);
}

describe('the files of the page', () => {
  it('are under 120 KB in all', () => {
    const bytes = pageAssets.reduce((sum, { body }) => sum + body.length, 0);
    expect(bytes).toBeGreaterThan(60_000);
    expect(bytes).toBeLessThan(120_000);
  });

  it.each(['http://localhost:9013/', 'https://proxy.example/some/prefix/'])(
    'refer only to each other and to pages of the endpoint, at %s',
    (base) => {
      const others = ['status', 'metrics', 'config', 'readyz', 'livez'];
      const known = new Set([...texts.keys(), ...others.map((name) => `/${name}`)].map((path) => base + path.slice(1)));
      const all = own.flatMap(([path]) => referencesOf(path, base));
      expect(all.length).toBeGreaterThan(20);
      expect(all.filter((to) => !known.has(to))).toEqual([]);
    },
  );

  it('include every module that is imported, and no other', () => {
    const base = 'http://localhost/';
    const reached = new Set(own.flatMap(([path]) => referencesOf(path, base)));
    const files = [...texts.keys()].filter((path) => path !== '/').map((path) => base + path.slice(1));
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });

  it('name no other host', () => {
    for (const [path, text] of own) {
      const hosts = text.match(/\bhttps?:\/\/[^/"' ]+/g) ?? [];
      expect(
        hosts.filter((host) => host !== 'http://www.w3.org'),
        path,
      ).toEqual([]);
    }
  });

  it('have no inline script or style, and make no markup of text', () => {
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]* src=)/);
    for (const [path, text] of own)
      expect(text, path).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
  });
});
