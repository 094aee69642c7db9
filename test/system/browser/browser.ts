import axe, { type AxeResults } from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';

/** It talks to nobody but the page. */
const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Debian's Chromium, without a window and with a new profile. Whoever launches it closes it. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: quiet });
}

/** A page of the browser, and what it complained about. */
export class BrowserPage {
  readonly page: Page;
  /** Errors and warnings of the console, and exceptions. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(String(error)));
  }

  /** Opens the page at this address and waits until it shows the daemon. */
  static async open(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<BrowserPage> {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
    onTestFinished(async () => context.close());
    const opened = new BrowserPage(await context.newPage());
    await opened.page.goto(url);
    await opened.sees('#link', /^Live$/);
    await opened.sees('#state', /^ready$/);
    return opened;
  }

  /** Waits until the text of an element matches. */
  async sees(selector: string, text: RegExp): Promise<string> {
    const place = this.page.locator(selector);
    await expect.poll(async () => place.textContent(), { timeout: 20_000, message: selector }).toMatch(text);
    return (await place.textContent()) ?? '';
  }

  /** The texts of the rows of a table, by the first one; under each heading. */
  async table(id: string): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    const all = await this.page
      .locator(`#${id} table`)
      .evaluate((table: HTMLTableElement) =>
        Array.from(table.rows, (row) => Array.from(row.cells, (cell) => cell.innerText.trim())),
      );
    const [headings = [], ...rows] = all;
    const named = rows.map((cells) =>
      Object.fromEntries(headings.map((heading, index) => [heading, cells[index] ?? ''])),
    );
    return new Map(rows.map(([first = ''], index) => [first, named[index] ?? {}]));
  }

  /** What axe-core finds wrong, without what it cannot tell. */
  async violations(): Promise<readonly string[]> {
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(async () =>
      (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
    );
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  }

  /** For each column of a plot, from the left, whether the line of its first series passes there. */
  async lineOf(title: string): Promise<readonly boolean[]> {
    return this.page.evaluate((wanted) => {
      const plot = [...document.querySelectorAll('.plot')].find(
        (each) => each.querySelector('h3')?.textContent === wanted,
      );
      const canvas = plot?.querySelector('canvas');
      const swatch = plot?.querySelector('.s0');
      // A copy for reading: the browser warns if the canvas itself is read again and again.
      const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      if (!canvas || !copy || !swatch) throw new Error(`there is no plot ${wanted}`);
      Object.assign(copy.canvas, { width: canvas.width, height: canvas.height });
      copy.drawImage(canvas, 0, 0);
      const [red = 0, green = 0, blue = 0] = (getComputedStyle(swatch).backgroundColor.match(/\d+/g) ?? []).map(Number);
      const { data, width, height } = copy.getImageData(0, 0, canvas.width, canvas.height);
      const isLine = (at: number): boolean =>
        (data[at + 3] ?? 0) > 80 &&
        Math.abs((data[at] ?? 0) - red) + Math.abs((data[at + 1] ?? 0) - green) + Math.abs((data[at + 2] ?? 0) - blue) <
          60;
      return Array.from({ length: width }, (_, column) =>
        Array.from({ length: height }, (__, row) => 4 * (row * width + column)).some(isLine),
      );
    }, title);
  }
}
