import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A file of the page. */
export interface PageAsset {
  /** Where the endpoint serves it. The page names it relative to its own address. */
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

/** As built, also for tests, which run from `src`. */
const built = new URL('../../../dist/server/page/', import.meta.url);

const html = 'text/html; charset=utf-8';
const css = 'text/css; charset=utf-8';
const javascript = 'text/javascript; charset=utf-8';

const modules = [
  'event-rows',
  'events',
  'format',
  'header',
  'main',
  'plot-data',
  'plots',
  'process-rows',
  'service-rows',
  'status',
  'table',
];

/**
 * All files of the page. They are read when this module is loaded, before the process gives up privileges: they may be
 * where its user cannot read.
 */
export const pageAssets: readonly PageAsset[] = [
  own('/', html, 'static/page.html'),
  own('/page/page.css', css, 'static/page.css'),
  own('/page/icon.svg', 'image/svg+xml', 'static/icon.svg'),
  ...modules.map((name) => own(`/page/${name}.js`, javascript, `${name}.js`)),
  ofPackage('/page/uplot.js', javascript, 'uplot/dist/uPlot.iife.min.js'),
  ofPackage('/page/uplot.css', css, 'uplot/dist/uPlot.min.css'),
];

/**
 * What the page may do, if untrusted text should ever get into it as markup or code: nothing but load our own files
 * and ask our own endpoint. The browser itself refuses to make HTML of text.
 */
export const contentSecurityPolicy: string = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

function own(path: string, type: string, file: string): PageAsset {
  return { path, type, body: readFileSync(new URL(file, built)) };
}

function ofPackage(path: string, type: string, file: string): PageAsset {
  return { path, type, body: readFileSync(createRequire(import.meta.url).resolve(file)) };
}
