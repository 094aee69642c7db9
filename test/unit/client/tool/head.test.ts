import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { fakeTcpServer, silentTcpServer } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';
import { until } from '../../../support/wait.ts';

const ok = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n';

/** Answers each request with these bytes and its end. */
async function answering(bytes: string): Promise<string> {
  const { name } = await fakeTcpServer((socket) => socket.once('data', () => socket.end(bytes, 'latin1')));
  return name;
}

describe('smallserv head', () => {
  test('prints the response of a real server', async () => {
    const server = createServer((request, response) => {
      response.sendDate = false;
      response.setHeader('X-Asked', `${request.method} ${request.url}`);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    expect(await runTool(['head', `127.0.0.1:${port}`, '--path', '/page?x=1'])).toEqual({
      code: 0,
      stdout: 'HTTP/1.1 200 OK\r\nX-Asked: HEAD /page?x=1\r\nConnection: close\r\n\r\n',
      stderr: '',
    });
  });

  test('prints JSON', async () => {
    const { code, stdout } = await runTool(['head', '--json', await answering(ok)]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      text: ok,
      statusLine: 'HTTP/1.1 200 OK',
      headers: [{ name: 'A', value: 'b' }],
    });
  });

  test.each([
    ['SSH-2.0-x \u001b[31m\u00ff\r\n', 'the response is not HTTP'],
    ['HTTP/1.1 200 OK\r\nA: b', 'incomplete response header: the connection ended'],
    ['', 'the connection ended without a response'],
  ])('prints %j unchanged, then the error', async (answer, fault) => {
    expect(await runTool(['head', await answering(answer)])).toEqual({
      code: 1,
      stdout: answer,
      stderr: `smallserv: ${fault}\n`,
    });
  });

  test('includes the error in JSON', async () => {
    const { code, stdout } = await runTool(['head', '--json', await answering('x')]);
    expect([code, JSON.parse(stdout)]).toMatchObject([
      1,
      { text: 'x', headers: [], fault: 'the response is not HTTP' },
    ]);
  });
});

describe('prints one error line and exits nonzero on', () => {
  test('an invalid path', async () => {
    const { code, stdout, stderr } = await runTool(['head', 'localhost:1', '--path', '/a b']);
    expect([code, stdout]).toEqual([64, '']);
    expect(stderr).toMatch(/^smallserv: "\/a b" is not a path: expected [^\n]*\n$/);
  });

  test('a closed port', async () => {
    const name = `127.0.0.1:${await freePort()}`;
    const stderr = `smallserv: cannot connect to ${name}: connection refused\n`;
    expect(await runTool(['head', name])).toEqual({ code: 2, stdout: '', stderr });
  });

  test('a connect timeout', async () => {
    const { name } = await silentTcpServer();
    const stderr = `smallserv: cannot connect to ${name}: no answer within 200ms\n`;
    expect(await runTool(['head', '--timeout', '200ms', name])).toEqual({ code: 2, stdout: '', stderr });
  });

  test('a silent server', async () => {
    const { name } = await fakeTcpServer(() => {});
    const stderr = `smallserv: ${name}: no data within 200ms\n`;
    expect(await runTool(['head', '--timeout', '200ms', name])).toEqual({ code: 1, stdout: '', stderr });
  });

  test('a connection reset', async () => {
    const { name } = await fakeTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const stderr = `smallserv: ${name}: connection reset\n`;
    expect(await runTool(['head', name])).toEqual({ code: 1, stdout: '', stderr });
  });

  test('Ctrl-C', async () => {
    let isAsked = false;
    const { name } = await fakeTcpServer((socket) => {
      socket.once('data', () => {
        isAsked = true;
      });
    });
    const tool = new ToolProcess(['head', '--timeout', '1h', name]);
    await until(() => isAsked, 'the request');
    tool.signal('SIGINT');
    expect(await tool.ended()).toEqual({ code: 130, stdout: '', stderr: 'smallserv: interrupted\n' });
  });
});
