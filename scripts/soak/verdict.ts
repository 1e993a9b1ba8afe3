// What has to hold in the end, and whether it did.

/** A line of the closing table. */
export interface Finding {
  what: string;
  found: string | number;
  /** What it has to be; undefined: whatever it is. */
  expected?: string | undefined;
  holds: boolean;
}

/** One that only tells. */
export function told(what: string, found: string | number): Finding {
  return { what, found, holds: true };
}

/** One that has to be `limit` at most. */
export function atMost(what: string, found: number, limit: number): Finding {
  return { what, found, expected: `at most ${limit}`, holds: found <= limit };
}

/** The closing table. */
export function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ what, found, expected = '', holds }) => [
    what,
    typeof found === 'number' ? found.toLocaleString('en') : found,
    expected,
    expected === '' ? '' : holds ? 'holds' : 'DOES NOT HOLD',
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
