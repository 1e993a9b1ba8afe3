/** Rows of text as a table in Markdown, the first one its head, numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const widths = head.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const isNumeric = head.map((_, column) => body.every((row) => NUMBER.test(row[column] ?? '')));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const padded = (row: readonly string[]) =>
    line(
      widths.map((width, column) => {
        const text = row[column] ?? '';
        return isNumeric[column] === true ? text.padStart(width) : text.padEnd(width);
      }),
    );
  const rule = widths.map((width, column) =>
    isNumeric[column] === true ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [padded(head), line(rule), ...body.map(padded)].join('\n');
}

// Nothing, or a number, with its unit if it has one.
const NUMBER = /^$|^-?[\d.]+(x| \w+\/s)?$/;

/** Three digits or so. */
export function digits(value: number): string {
  if (Math.abs(value) >= 99.95) return value.toFixed(0);
  if (Math.abs(value) >= 9.995) return value.toFixed(1);
  return value.toFixed(Math.abs(value) < 0.995 ? 3 : 2);
}
