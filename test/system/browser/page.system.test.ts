/** The page of the admin endpoint in a real browser, against the running daemon. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { DaemonProcess, temporaryDirectory } from '../../support/daemon-process.ts';
import { freePort } from '../../support/ports.ts';
import { TcpClient } from '../../support/tcp.ts';
import { UdpClient } from '../../support/udp.ts';
import { BrowserPage, launchBrowser } from './browser.ts';
import { checkout, needs } from '../machine.ts';
import { withPalette } from './palette-png.ts';

needs('chromium');

/** With this variable, the pictures in the documents are taken again, after traffic for so many seconds. */
const picturesAfterS = Number(process.env['SMALLSERVD_PICTURES'] ?? 0);

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(async () => browser.close());

const tcp = 'tcp://127.0.0.1:0';
const udp = 'udp://127.0.0.1:0';

interface Served {
  readonly daemon: DaemonProcess;
  readonly url: string;
  /** Starts it again, at the same addresses of the page. */
  readonly again: () => Promise<DaemonProcess>;
}

/** Serves these services, and the page. The config has a name that would show if it became markup. */
async function serve(services: object, name = 'smallservd.yaml'): Promise<Served> {
  const port = await freePort();
  const directory = temporaryDirectory();
  const admin = { listen: `tcp://127.0.0.1:${port}` };
  writeFileSync(join(directory, name), JSON.stringify({ workers: 2, admin, services }));
  const again = async (): Promise<DaemonProcess> => {
    const daemon = DaemonProcess.spawn(['--config', name], { cwd: directory });
    await daemon.line('ready');
    return daemon;
  };
  return { daemon: await again(), url: `http://127.0.0.1:${port}/`, again };
}

/** Clients of all kinds, served and refused, until it is stopped. */
class Traffic {
  readonly #daemon: DaemonProcess;
  readonly #held: TcpClient[] = [];
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(daemon: DaemonProcess) {
    this.#daemon = daemon;
    onTestFinished(async () => this.stop());
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const asking = await UdpClient.open('127.0.0.1');
    const suspicious = await UdpClient.open('127.0.0.2', { port: 19 });
    for (let round = 0; !this.#isStopped; round += 1) {
      const wave = 1 + Math.sin(round / 80) ** 2 + (round % 150 < 20 ? 1 : 0);
      for (let count = 0; count < 4 * wave; count += 1) asking.send('datagram', this.#daemon.target('echo', 'udp'));
      if (round % 7 === 0) suspicious.send('x', this.#daemon.target('echo', 'udp'));
      for (let count = 0; count < 2 * wave; count += 1) (await this.#connect('daytime')).finish();
      if (round % 9 === 0) (await this.#connect('daytime', '127.0.0.3')).finish();
      this.#held.push(await this.#connect('echo', `127.0.0.${4 + (round % 3)}`));
      for (const client of this.#held) client.write('0123456789'.repeat(20));
      if (this.#held.length > 8 * wave) for (const client of this.#held.splice(0, 2)) client.finish();
      await pause(100);
    }
  }

  async #connect(service: string, localAddress = '127.0.0.1'): Promise<TcpClient> {
    return TcpClient.connect({ ...this.#daemon.target(service, 'tcp'), localAddress });
  }
}

const services = {
  echo: { listen: [tcp, udp], maxConnectionsPerSource: 6, exempt: [] },
  daytime: { listen: [tcp, udp], deny: ['127.0.0.3/32'], faults: { delay: { time: '2ms', jitter: '1ms' } } },
  qotd: { listen: [tcp] },
};

describe('the page', () => {
  it('shows what /metrics says, and plots it', { timeout: 90_000 + 1000 * picturesAfterS }, async () => {
    const { daemon, url } = await serve(services);
    const traffic = new Traffic(daemon);
    daemon.signal('SIGHUP');
    const opened = await BrowserPage.open(browser, url);
    await opened.sees('#reloads', /succeeded/);
    const before = (await opened.table('services')).get('echo');
    await pause(1000 * Math.max(7, picturesAfterS));
    if (picturesAfterS > 0) await takePictures(url);
    const after = (await opened.table('services')).get('echo');
    for (const column of ['Datagrams', 'Received', 'Sent']) expect(after?.[column], column).not.toBe(before?.[column]);
    expect(numberOf(after?.['Requests/s'])).toBeGreaterThan(5);
    for (const title of [
      'Requests a second',
      'Clients',
      'Bytes a second',
      'CPU (share of one processor)',
      'Resident memory',
    ])
      await expect
        .poll(async () => (await opened.lineOf(title)).filter(Boolean).length, { timeout: 20_000, message: title })
        .toBeGreaterThan(3);
    expect((await opened.table('turnedAway')).get('daytime')).toMatchObject({ Action: 'refused', Reason: 'denied' });
    expect([...(await opened.table('sources')).keys()]).toContain('echo');
    expect((await opened.table('faults')).get('daytime')).toMatchObject({ Fault: 'delay' });
    expect([...(await opened.table('workers')).keys()]).toEqual(
      expect.arrayContaining(['supervisor', 'worker 3', 'worker 4']),
    );

    await traffic.stop();
    await expect.poll(async () => differences(opened, url), { timeout: 20_000 }).toEqual([]);
    expect(opened.complaints).toEqual([]);
  });

  it('reconnects after a restart, with a gap, and says that it is disconnected meanwhile', async () => {
    const { daemon, url, again } = await serve({ echo: { listen: [tcp] } });
    const opened = await BrowserPage.open(browser, url);
    const pid = await opened.sees('#facts', new RegExp(`process${daemon.pid},`));
    await TcpClient.connect(daemon.target('echo', 'tcp'));
    await pause(4000);
    expect(await opened.violations()).toEqual([]);
    expect(opened.complaints).toEqual([]);
    daemon.signal('SIGQUIT');
    await daemon.ended();
    await opened.sees('#link', /^Disconnected at [\d:]+, reconnecting$/);
    await opened.sees('#state', /^unknown$/);
    expect(await opened.page.title()).toBe('⚠ smallservd: disconnected');
    expect(await opened.violations()).toEqual([]);
    await pause(2500);
    const next = await again();
    await opened.sees('#link', /^Live$/);
    expect(await opened.sees('#facts', new RegExp(`process${next.pid},`))).not.toBe(pid);
    await TcpClient.connect(next.target('echo', 'tcp'));
    await pause(4000);
    // A line, nothing, a line.
    const line = (await opened.lineOf('Clients')).map((isThere) => (isThere ? '-' : ' ')).join('');
    expect(line).toMatch(/-{2} {2,}-/);
    // The browser itself reports that it cannot connect.
    expect(opened.complaints.filter((complaint) => !/net::ERR_(CONNECTION|INCOMPLETE)/.test(complaint))).toEqual([]);
  });

  it('shows untrusted text as text', async () => {
    const evil = '<img src=x onerror="window.owned=1"><script>window.owned=2</script>\u202e\u001b[31m&lt;b&gt;';
    const module = './hostile.js';
    const directory = temporaryDirectory();
    writeFileSync(
      join(directory, 'hostile.js'),
      `export default { name: 'hostile', summary: 'logs its clients', options: {}, create(_, context) {
        const said = context.counter('said', 'What clients said.');
        return { stream: () => ({ data(chunk) {
          said.add();
          context.log.warn({ said: String(chunk), [String(chunk)]: 1 }, 'said');
        } }) };
      } };`,
    );
    const name = '<b onclick=alert(1)>&quot;.yaml';
    const { daemon, url } = await serve({ hostile: { module: join(directory, module), listen: [tcp] } }, name);
    const opened = await BrowserPage.open(browser, url);
    (await TcpClient.connect(daemon.target('hostile', 'tcp'))).write(evil);
    const shown = await opened.sees('#log', /said=/);
    expect(shown).toContain('<img src=x onerror=');
    await opened.sees('#counters', /hostilesaid1/);
    expect(shown).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
    expect(await opened.sees('#facts', /config/)).toContain(name);
    const found = await opened.page.evaluate(() => ({
      owned: Reflect.get(window, 'owned') as unknown,
      elements: document.querySelectorAll('img, main script, #facts b, [onclick], [onerror], [style*=url]').length,
    }));
    expect(found).toEqual({ owned: undefined, elements: 0 });
    // The browser would refuse markup made of text, and code, even from our own scripts.
    const refused = await opened.page.evaluate(() => {
      const tries = [
        () => document.body.insertAdjacentHTML('beforeend', '<i></i>'),
        () =>
          document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.owned = 3' })),
      ];
      return tries.map((attempt) => {
        try {
          attempt();
          return Reflect.get(window, 'owned') === undefined ? 'no effect' : 'run';
        } catch (error) {
          return error instanceof TypeError ? 'refused' : String(error);
        }
      });
    });
    expect(refused).toEqual(['refused', expect.stringMatching(/^(refused|no effect)$/)]);
  });

  it('works behind a proxy, under a prefix', async () => {
    const { url } = await serve({ echo: { listen: [tcp] } });
    const opened = await BrowserPage.open(browser, `${await proxyOf(url)}/tools/smallservd/`);
    expect((await opened.table('services')).get('echo')).toMatchObject({ Listeners: '1 of 1 open' });
    expect(opened.complaints).toEqual([]);
    await opened.page.getByRole('link', { name: '/readyz' }).click();
    expect(await opened.page.textContent('body')).toBe('ok\n');
  });

  it('is accessible: light, dark, on a phone, and with less motion', async () => {
    const { url } = await serve(services);
    const phone = { width: 360, height: 740 };
    for (const options of [
      { colorScheme: 'light' },
      { colorScheme: 'dark' },
      { colorScheme: 'light', viewport: phone },
      { colorScheme: 'dark', viewport: phone, reducedMotion: 'reduce' },
    ] as const) {
      const opened = await BrowserPage.open(browser, url, options);
      await opened.sees('.plot:nth-child(5)', /worker 2/);
      const what = JSON.stringify(options);
      expect(await opened.violations(), what).toEqual([]);
      const { width, tooWide, background } = await opened.page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        tooWide: Array.from(document.querySelectorAll('.plot'))
          .filter((plot) => plot.scrollWidth > plot.clientWidth)
          .map((plot) => plot.textContent),
        background: getComputedStyle(document.body).backgroundColor,
      }));
      expect(width, what).toBe(opened.page.viewportSize()?.width);
      expect(tooWide, what).toEqual([]);
      expect(background, what).toBe(options.colorScheme === 'dark' ? 'rgb(18, 22, 27)' : 'rgb(246, 247, 249)');
      expect(opened.complaints, what).toEqual([]);
    }
  });

  it('takes no connection while it is hidden, and holds still while it is paused', async () => {
    const { url } = await serve({ echo: { listen: [tcp] } });
    const { page } = await BrowserPage.open(browser, url);
    const facts = async (): Promise<string | null> => page.textContent('#facts');
    const hide = async (isHidden: boolean): Promise<void> =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { value, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, isHidden);
    await hide(true);
    expect(await page.title()).toBe('smallservd');
    const hidden = await facts();
    await pause(2500);
    expect(await facts()).toBe(hidden);
    await hide(false);
    await expect.poll(facts).not.toBe(hidden);
    expect(await page.title()).toMatch(/ready$/);

    await page.locator('#pause').click();
    const paused = await page.textContent('main');
    await hide(true);
    await hide(false);
    await pause(2500);
    expect(await page.textContent('main')).toBe(paused);
  });

  it('is used by keyboard', async () => {
    const { url } = await serve({ echo: { listen: [tcp] } });
    const { page } = await BrowserPage.open(browser, url);
    const focused: string[] = [];
    for (let count = 0; count < 15; count += 1) {
      await page.keyboard.press('Tab');
      const { name, outline } = await page.evaluate(() => {
        const element = document.activeElement ?? document.body;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return {
          name: element.id || element.getAttribute('value') || (element.textContent ?? ''),
          outline: `${outlineStyle} ${outlineWidth}`,
        };
      });
      focused.push(name);
      expect(outline, name).toBe('solid 2px');
    }
    const tables = ['services', 'turnedAway', 'workers', 'sources', 'faults', 'reloads', 'log'];
    const links = ['/status', '/metrics', '/config', '/readyz', '/livez'];
    expect(focused).toEqual(['Skip to the services', 'pause', 'seconds', ...tables, ...links]);

    await page.locator('#pause').focus();
    await page.keyboard.press('Space');
    expect(await page.locator('#pause').getAttribute('aria-pressed')).toBe('true');
    const up = await page.textContent('#facts');
    await pause(2500);
    expect(await page.textContent('#facts')).toBe(up);
    await page.keyboard.press('Space');
    await expect.poll(async () => page.textContent('#facts')).not.toBe(up);

    await page.locator('input[value=seconds]').focus();
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('.plot [role=img]').first().getAttribute('aria-label')).toContain('last 6 hours');
  });
});

/** What the page shows, and /metrics, where they differ. */
async function differences(opened: BrowserPage, url: string): Promise<readonly string[]> {
  const metrics = await (await fetch(`${url}metrics`)).text();
  const rows = await opened.table('services');
  const sum = (name: string, service: string): number =>
    [...metrics.matchAll(new RegExp(`^smallservd_${name}\\{service="${service}"[^}]*\\} (\\d+)$`, 'gm'))]
      .map(([, value]) => Number(value))
      .reduce((total, value) => total + value, 0);
  const columns = {
    Clients: 'connections',
    Accepted: 'connections_accepted_total',
    Datagrams: 'datagrams_received_total',
    Replies: 'datagrams_sent_total',
    Refused: 'connections_refused_total',
    Dropped: 'datagrams_dropped_total',
  };
  return [...rows].flatMap(([service, cells]) =>
    Object.entries(columns).flatMap(([column, metric]) => {
      const [shown, counted] = [numberOf(cells[column]), sum(metric, service)];
      return shown === counted ? [] : [`${service} ${column}: ${shown}, ${metric} ${counted}`];
    }),
  );
}

function numberOf(text: string | undefined): number {
  return Number(text?.replaceAll(',', ''));
}

/** A proxy that serves all of `url` below a prefix. */
async function proxyOf(url: string): Promise<string> {
  const proxy = createServer((asked, answer) => {
    const path = asked.url?.replace(/^\/tools\/smallservd/, '') ?? '/';
    const passed = request(new URL(path, url), { headers: { host: '127.0.0.1' }, agent: false }, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    passed.end();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  await once(proxy, 'listening');
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const maxPictureBytes = 100_000;

async function takePictures(url: string): Promise<void> {
  const directory = join(checkout, 'docs/page');
  mkdirSync(directory, { recursive: true });
  for (const [name, options] of [
    ['light', { colorScheme: 'light', viewport: { width: 1200, height: 1250 } }],
    ['dark', { colorScheme: 'dark', viewport: { width: 1200, height: 1250 } }],
    ['phone', { colorScheme: 'light', viewport: { width: 360, height: 1000 } }],
  ] as const) {
    const { page } = await BrowserPage.open(browser, url, options);
    await pause(3000);
    const picture = withPalette(await page.screenshot());
    expect(picture.length, name).toBeLessThan(maxPictureBytes);
    writeFileSync(join(directory, `${name}.png`), picture);
  }
}

it('has its pictures in the documents, small enough', () => {
  for (const name of ['light', 'dark', 'phone']) {
    const picture = readFileSync(join(checkout, 'docs/page', `${name}.png`));
    expect(picture.toString('latin1', 1, 4)).toBe('PNG');
    expect(picture.length).toBeLessThan(maxPictureBytes);
  }
});
