// Adds up the JSON reports of vitest: node .ci/count.js FAILED_STEPS [REPORT EXIT_STATUS]... Prints `N passed, N
// failed` and exits with 0 only if nothing failed. Whatever did not pass has failed: a skipped test, a test file that
// could not be loaded, a report that is missing or empty, and a runner that failed although all of its tests passed.
import { readFileSync } from 'node:fs';

const [failedSteps, ...pairs] = process.argv.slice(2);
let passed = 0;
let failed = Number(failedSteps);
if (!/^\d+$/.test(failedSteps ?? '')) {
  console.error(`count: the number of failed steps is missing: ${failedSteps}`);
  failed = 1;
}
for (let index = 0; index < pairs.length; index += 2) {
  const report = count(pairs[index], pairs[index + 1]);
  passed += report.passed;
  failed += report.failed;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function count(path, exitStatus) {
  const counted = { passed: 0, failed: 0 };
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`count: no report: ${error.message}`);
    return { passed: 0, failed: 1 };
  }
  for (const { name, status, message, assertionResults } of report.testResults) {
    const bad = assertionResults.filter((test) => test.status !== 'passed');
    for (const test of bad) console.error(`count: ${test.status}: ${name}: ${test.fullName}`);
    counted.passed += assertionResults.length - bad.length;
    counted.failed += bad.length;
    if (bad.length > 0 || (status === 'passed' && assertionResults.length > 0)) continue;
    console.error(`count: ${status}: ${name}: ${message || 'no test in it'}`);
    counted.failed += 1;
  }
  if (counted.failed > 0) return counted;
  if (counted.passed > 0 && report.success && exitStatus === '0') return counted;
  console.error(`count: ${path}: ${counted.passed} tests passed, success ${report.success}, exit status ${exitStatus}`);
  return { ...counted, failed: 1 };
}
