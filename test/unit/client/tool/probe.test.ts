import { describe, expect, test } from 'vitest';
import { answerTcp, serveTcp } from '../../../support/fake-servers.ts';
import { freePort } from '../../../support/ports.ts';
import { runTool, ToolProcess } from '../../../support/tool-process.ts';

describe('smallserv probe', () => {
  test('prints a line for each target as it comes, and counts the outcomes', async () => {
    const open = await serveTcp((socket) => void socket.resume());
    const closed = `127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await runTool(['probe', open, closed]);
    const lines = stdout.split('\n');
    const [first = '', second = ''] = lines[0]?.startsWith(open) === true ? lines : [lines[1], lines[0]];
    expect(first).toMatch(new RegExp(`^${open}  ok {12} +[\\d.]+ ms$`));
    expect(second).toMatch(new RegExp(`^${closed}  refused {7} +[\\d.]+ ms  connection refused$`));
    expect(lines.slice(2)).toEqual([
      '',
      expect.stringMatching(/^--- 2 targets, 2 probes: 1 ok, 1 refused, \d+ ms$/),
      '',
    ]);
    expect([code, stderr]).toEqual([2, '']);
  });

  test('prints no summary of a single probe, and quotes the answer harmlessly', async () => {
    const target = await answerTcp('\u001b[31mred\u009b\r\n');
    const { code, stdout } = await runTool(['probe', target, '--expect', 'RED|red']);
    expect(stdout).toMatch(/ ok +[\d.]+ ms {2}"\\u001b\[31mred\\u009b\\r\\n"\n$/);
    expect(stdout.split('\n')).toHaveLength(2);
    expect(code).toBe(0);
  });

  test('prints JSON lines, the summary last', async () => {
    const target = await serveTcp((socket) => void socket.resume());
    const { code, stdout } = await runTool(['probe', '--json', '-c', '2', '-i', '10ms', target]);
    const lines = stdout.trimEnd().split('\n');
    const documents = lines.map((line) => JSON.parse(line) as object);
    expect(documents).toMatchObject([
      { type: 'probe', target, round: 1, outcome: 'ok' },
      { type: 'probe', target, round: 2, outcome: 'ok' },
      { type: 'summary', outcome: 'ok', targets: 1, probes: 2, counts: { ok: 2 } },
    ]);
    expect(code).toBe(0);
  });

  test('prints changes alone with --watch if it is not on a terminal, until Ctrl-C', async () => {
    let count = 0;
    const target = await serveTcp((socket) => void socket.end((count += 1) > 3 ? 'no' : 'yes'));
    const tool = new ToolProcess(['probe', '--watch', '-i', '10ms', '--expect', 'yes', target]);
    await tool.says('wrong-answer');
    tool.signal('SIGINT');
    const { code, stdout } = await tool.ended();
    expect(stdout).toMatch(
      /^[\d:]{8} {2}\S+ {2}ok .*\n[\d:]{8} {2}\S+ {2}wrong-answer .*\n\n--- 1 target, \d+ probes: /,
    );
    expect(code).toBe(1);
  });

  test('is interrupted if it waits for an answer', async () => {
    let tool: ToolProcess | undefined;
    const target = await serveTcp(() => void setImmediate(() => tool?.signal('SIGINT')));
    tool = new ToolProcess(['probe', target, '--expect', '.']);
    expect(await tool.ended()).toMatchObject({
      code: 130,
      stdout: expect.stringMatching(/^\n--- 1 target, 0 probes: none, \d+ ms\n$/) as string,
    });
  });

  test('ends when nobody reads its output', async () => {
    const target = await serveTcp((socket) => void socket.resume());
    const tool = new ToolProcess(['probe', '-c', 'forever', '-i', '1ms', target]);
    await tool.says('ok');
    tool.hangUp();
    expect((await tool.ended()).stderr).toBe('');
  });

  test.each([
    [['--expect', '(a'], '"(a" is not valid for --expect: expected a regular expression: Unterminated group'],
    [['--send', '\\q'], '"\\q" is not valid for --send: \\q is not an escape: expected '],
    [['h'], '"h" has no port: expected h:PORT'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await runTool(['probe', 'localhost:9', ...args]);
    expect(stderr).toContain(`smallserv: ${message}`);
    expect([code, stdout]).toEqual([64, '']);
  });
});
