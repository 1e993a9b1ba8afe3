import { SealiftError } from '../errors.ts';
import { principalTables } from './principals.ts';

/** The tables of a users file by the names of their principals; the keys are those of the file (principal-fields.ts). */
export type PrincipalTables = ReadonlyMap<string, PrincipalTable>;
export type PrincipalTable = Readonly<Record<string, unknown>>;

/**
 * The text of a users file with other tables in it. It is changed as a person would with an editor: comments, order and
 * whatever is not concerned stay as they are. New tables come last, new items of a list first. The result is read again: where it
 * does not say exactly what is `wanted`, as with inline tables, it throws `bad-configuration`. `file` is for messages.
 */
export function editedUsers(text: string, wanted: PrincipalTables, file: string): string {
  const present = principalTables(text, file);
  let edited = text;
  for (const name of present.keys()) if (!wanted.has(name)) edited = withoutTable(edited, name);
  for (const [name, table] of wanted) {
    const before = present.get(name);
    edited = before === undefined ? withTable(edited, name, table) : withChanges(edited, name, before, table);
  }
  if (says(edited, wanted, file)) return edited;
  throw new SealiftError('bad-configuration', `${file} is written in a way that cannot be edited here.`, {
    hint: 'Write each principal as a table of its own, [principals.NAME], with a line for each key.',
  });
}

function says(text: string, wanted: PrincipalTables, file: string): boolean {
  try {
    const tables = principalTables(text, file);
    return (
      tables.size === wanted.size && [...wanted].every(([name, table]) => isSame(tables.get(name), table))
    );
  } catch {
    return false;
  }
}

function isSame(one: PrincipalTable | undefined, other: PrincipalTable): boolean {
  const keys = Object.keys(other);
  return (
    one !== undefined &&
    Object.keys(one).length === keys.length &&
    keys.every((key) => Object.hasOwn(one, key) && isSameValue(one[key], other[key]))
  );
}

// A date of TOML and one of ours are written alike.
function isSameValue(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

// A file that does not end with a line break does not do so afterwards either: what is added can be taken away without a trace.
function withTable(text: string, name: string, table: PrincipalTable): string {
  const end = lineEnd(text);
  const key = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  const lines = [
    `[principals.${key}]`,
    ...Object.entries(table).map(([field, value]) => fieldLine(field, value)),
  ];
  const added = lines.join(end);
  if (text === '') return `${added}${end}`;
  return text.endsWith('\n') ? `${text}${end}${added}${end}` : `${text}${end}${end}${added}`;
}

// With the empty line that set it apart. Comments around it may be about its neighbours and stay.
function withoutTable(text: string, name: string): string {
  const lines = linesOf(text);
  const section = sectionOf(lines, name);
  if (section === undefined) return text;
  const above = lines.slice(0, section.start);
  if (/^\r?\n$/.test(above.at(-1) ?? '')) above.pop();
  const rest = [...above, ...lines.slice(section.end)].join('');
  return text.endsWith('\n') ? rest : rest.replace(/\r?\n$/, '');
}

function withChanges(text: string, name: string, before: PrincipalTable, after: PrincipalTable): string {
  let edited = text;
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, next] = [before[key], after[key]];
    if (isSameValue(old, next)) continue;
    if (Array.isArray(old) && Array.isArray(next)) edited = withItems(edited, name, key, old, next);
    else {
      if (old !== undefined) edited = withoutField(edited, name, key);
      if (next !== undefined) edited = withField(edited, name, key, next);
    }
  }
  return edited;
}

function withField(text: string, name: string, key: string, value: unknown): string {
  const lines = linesOf(text);
  const section = sectionOf(lines, name);
  if (section === undefined) return text;
  const end = lineEnd(text);
  const last = lines[section.end - 1] ?? '';
  const line = fieldLine(key, value);
  const added = last.endsWith('\n') ? [last, `${line}${end}`] : [`${last}${end}`, line];
  return lines.toSpliced(section.end - 1, 1, ...added).join('');
}

function withoutField(text: string, name: string, key: string): string {
  const lines = linesOf(text);
  const index = fieldIndex(lines, name, key);
  return index === undefined ? text : lines.toSpliced(index, 1).join('');
}

function withItems(text: string, name: string, key: string, old: unknown[], next: unknown[]): string {
  const removed = old.filter((item) => !next.includes(item));
  const added = next.filter((item) => !old.includes(item));
  const kept = removed.reduce<string>((edited, item) => withoutItem(edited, name, key, String(item)), text);
  return added.reduceRight<string>((edited, item) => withItem(edited, name, key, item), kept);
}

function withItem(text: string, name: string, key: string, item: unknown): string {
  const lines = linesOf(text);
  const index = fieldIndex(lines, name, key);
  if (index === undefined) return text;
  const line = (lines[index] ?? '').replace(
    /^([^=]*=\s*\[)(\s*)(\S?)/s,
    (_, begin: string, gap: string, next: string) => {
      // The list is empty, or goes on in the next line, or here.
      const separator = next === ']' ? '' : next === '' ? `,${gap}` : `, ${gap}`;
      return `${begin}${valueText(item)}${separator}${next}`;
    },
  );
  return lines.with(index, line).join('');
}

// An item is known by its text, below its key: comments may quote it, there too.
function withoutItem(text: string, name: string, key: string, item: string): string {
  const lines = linesOf(text);
  const index = fieldIndex(lines, name, key);
  if (index === undefined) return text;
  const from = lines.slice(0, index).join('').length;
  const found = [...text.slice(from).matchAll(STRING_OR_COMMENT)].find(([each]) =>
    [`"${item}"`, `'${item}'`].includes(each),
  );
  if (found === undefined) return text;
  const start = from + found.index;
  const before = text.slice(0, start);
  const after = text.slice(start + found[0].length);
  // The comma in front of it goes with the last item, that behind it with any other, and with one that is alone.
  const isLast = !/^\s*,\s*[^\s\]]/.test(after) && /,\s*$/.test(before);
  return isLast ? `${before.replace(/,\s*$/, '')}${after}` : `${before}${after.replace(/^\s*,[ \t]*/, '')}`;
}

const STRING_OR_COMMENT = /"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*/g;

function fieldIndex(lines: readonly string[], name: string, key: string): number | undefined {
  const section = sectionOf(lines, name);
  if (section === undefined) return undefined;
  const field = new RegExp(`^\\s*(?:${key}|"${key}"|'${key}')\\s*=`);
  const index = lines.findIndex((line, i) => i > section.start && i < section.end && field.test(line));
  return index < 0 ? undefined : index;
}

/** The lines of a principal's table, from its head to its last value. */
function sectionOf(lines: readonly string[], name: string): { start: number; end: number } | undefined {
  const start = lines.findIndex((line) => headName(line) === name);
  if (start < 0) return undefined;
  const next = lines.findIndex((line, i) => i > start && isHead(line));
  let end = next < 0 ? lines.length : next;
  while (/^\s*(?:#[^\n]*)?\n?$/.test(lines[end - 1] ?? '')) end -= 1;
  return { start, end };
}

function isHead(line: string): boolean {
  return /^\s*\[/.test(line);
}

/** Whose table begins here. Names can be quoted in several ways, which the parser knows. */
function headName(line: string): string | undefined {
  if (!isHead(line)) return undefined;
  try {
    return [...principalTables(line, '').keys()][0];
  } catch {
    return undefined;
  }
}

function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function lineEnd(text: string): string {
  return /^[^\n]*\r\n/.test(text) ? '\r\n' : '\n';
}

function fieldLine(key: string, value: unknown): string {
  return `${key} = ${valueText(value)}`;
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(valueText).join(', ')}]`;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  return JSON.stringify(value);
}
