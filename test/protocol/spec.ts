import { readFileSync } from 'node:fs';

/** A table of SPEC.md: its rows, without the head, each a list of cells. */
export type Table = string[][];

/** All of SPEC.md. */
export function specText(): string {
  return readFileSync('src/protocol/SPEC.md', 'utf8');
}

/** The tables of the section of SPEC.md under this heading, in their order, deeper sections included. */
export function specTables(heading: string): Table[] {
  const lines = specText().split('\n');
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === heading);
  const depth = lines[start]?.indexOf(' ') ?? 0;
  const tables: Table[] = [];
  let inTable = false;
  for (const line of lines.slice(start + 1)) {
    const deeper = /^#+ /.exec(line);
    if (deeper && deeper[0].length - 1 <= depth) break;
    if (line.startsWith('|')) {
      if (!inTable) tables.push([]);
      tables.at(-1)?.push(cells(line));
    }
    inTable = line.startsWith('|');
  }
  // The first two lines of a table are its head and the rule below it.
  return tables.map((table) => table.slice(2));
}

/** The words between backticks in a cell. */
export function literals(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
}

/** The literals of the first cells of a table: what the table is a list of. */
export function rowNames(table: Table | undefined): string[] {
  return (table ?? []).flatMap((row) => literals(row[0]));
}

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}
