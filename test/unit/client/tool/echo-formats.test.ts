import { expect, it } from 'vitest';
import { FpingEchoReport } from '../../../../src/client/tool/echo-formats.ts';
import type { ToolTarget } from '../../../../src/client/tool/targets.ts';
import type { Terminal } from '../../../../src/client/tool/terminal.ts';

it('counts a request once whose answer comes late', () => {
  let printed = '';
  const terminal = { print: (text: string) => void (printed += text) } as Terminal;
  const target = { host: 'h', widestHost: 1, isAlone: true } as ToolTarget;
  const options = { count: 2, sizeBytes: 64, isUdp: true, isQuiet: false, hasTimestamps: false };
  const report = new FpingEchoReport(terminal, target, options);
  report.observe({ kind: 'silence', sequence: 0, waitedMs: 50 });
  report.observe({ kind: 'answered', sequence: 0, rttMs: 75, isDuplicate: false });
  report.observe({ kind: 'answered', sequence: 1, rttMs: 25, isDuplicate: false });
  expect(printed).toBe(
    'h : [0], timed out (NaN avg, 100% loss)\n' +
      'h : [0], 64 bytes, 75.0 ms (75.0 avg, 0% loss)\n' +
      'h : [1], 64 bytes, 25.0 ms (50.0 avg, 0% loss)\n',
  );
});
