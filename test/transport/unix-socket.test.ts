import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serve } from '../support/daemon.ts';
import { TcpClient } from '../support/tcp.ts';

let directory = '';
let path = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'smallservd-unix-'));
  path = join(directory, 'echo.sock');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What a daemon leaves that was killed: a socket file on which nobody listens. */
function leaveDeadSocket(): void {
  const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  expect(() => execFileSync(process.execPath, ['-e', script, path], { stdio: 'ignore' })).toThrow();
  expect(lstatSync(path).isSocket()).toBe(true);
}

async function expectEcho(): Promise<void> {
  const client = await TcpClient.connect({ path });
  client.finish('hello');
  expect((await client.takeAll()).toString()).toBe('hello');
}

describe('a UNIX listener', () => {
  it('serves, says where, and logs its clients', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`] } });
    expect(daemon.listeners).toEqual([{ service: 'echo', transport: 'unix', address: path, port: 0 }]);
    await expectEcho();
    const line = await daemon.log.closing('unix');
    expect(line).toMatchObject({ local: `unix:${path}`, bytesIn: 5, bytesOut: 5, reason: 'completed' });
  });

  it('removes its file when it closes', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`] } });
    await daemon.close();
    expect(existsSync(path)).toBe(false);
  });

  it('all its clients are one source', async () => {
    const daemon = await serve({ echo: { listen: [`unix://${path}`], maxConnectionsPerSource: 1 } });
    await TcpClient.connect({ path });
    const second = await TcpClient.connect({ path });
    expect(await second.takeAll()).toHaveLength(0);
    await daemon.close(0);
    expect(daemon.log.summed('refused')).toEqual({ 'source-limit': 1 });
  });

  it('no CIDR rule concerns its clients', async () => {
    await serve({ echo: { listen: [`unix://${path}`], allow: ['192.0.2.1'], deny: ['0.0.0.0/0', '::/0'] } });
    await expectEcho();
  });
});

describe('a socket file that is already there', () => {
  it('dead: is removed', async () => {
    leaveDeadSocket();
    await serve({ echo: { listen: [`unix://${path}`] } });
    await expectEcho();
  });

  it('live: stays, and the start fails as in use', async () => {
    await serve({ echo: { listen: [`unix://${path}`] } });
    await expect(serve({ other: { type: 'echo', listen: [`unix://${path}`] } })).rejects.toMatchObject({
      code: 'LISTEN_IN_USE',
      message: `other: cannot listen on unix://${path}: the address is in use by another program`,
    });
    await expectEcho();
  });

  it('no socket: stays, and the start fails', async () => {
    writeFileSync(path, 'precious');
    await expect(serve({ echo: { listen: [`unix://${path}`] } })).rejects.toMatchObject({ code: 'LISTEN_IN_USE' });
    expect(lstatSync(path).isFile()).toBe(true);
  });

  it('a directory that is missing is an error that names service and path', async () => {
    const missing = join(directory, 'none', 'echo.sock');
    await expect(serve({ echo: { listen: [`unix://${missing}`] } })).rejects.toMatchObject({
      name: 'SmallservdError',
      message: expect.stringContaining(`echo: cannot listen on unix://${missing}`),
    });
  });
});
