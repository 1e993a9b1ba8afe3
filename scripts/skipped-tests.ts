// Reads the report of the last full test run, lists the tests that did not run, and fails on any skip that
// test/allowed-skips.txt does not name.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { name: string; assertionResults: { fullName: string; status: string }[] }[];
}

const report = JSON.parse(readFileSync('coverage/tests.json', 'utf8')) as Report;
const allowed = new Set(
  readFileSync('test/allowed-skips.txt', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#')),
);

const skipped = report.testResults.flatMap(({ name, assertionResults }) =>
  assertionResults
    .filter(({ status }) => status !== 'passed' && status !== 'failed')
    .map(({ fullName }) => `${relative('.', name).replaceAll('\\', '/')} > ${fullName}`),
);
console.log(skipped.length === 0 ? 'Skipped tests: none' : 'Skipped tests:');
for (const test of skipped) console.log(`  ${test}${allowed.has(test) ? '' : '   (not allowed)'}`);

console.log(`\n${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped.length} skipped`);
if (skipped.some((test) => !allowed.has(test))) process.exitCode = 1;
