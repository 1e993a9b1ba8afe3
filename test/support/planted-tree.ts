import { createHash } from 'node:crypto';
import {
  chmod,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What is to stand at a path: the text or bytes of a file, or more. A path that ends in `/` is a directory. */
export type Planted =
  string | Buffer | { content?: string | Buffer; link?: string; mode?: number; mtimeMs?: number };

/** What stands at a path. Small contents are given as they are, others by length and digest. */
export interface Standing {
  type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits and those beyond, in octal; a link has none of its own. */
  mode?: string;
  /** Whole milliseconds since 1970. */
  mtimeMs: number;
  content?: string;
  target?: string;
}

/** The time of what is planted without one: long ago, so that it shows whether something was touched. */
export const LONG_AGO = Date.UTC(2001, 1, 3, 4, 5, 6, 789);

/** Makes a tree below `root`, with its missing directories; times and bits are set when all stands, the deepest first. */
export async function plantTree(root: string, tree: Readonly<Record<string, Planted>>): Promise<string> {
  await mkdir(root, { recursive: true });
  for (const [name, planted] of Object.entries(tree)) {
    const { content = '', link } = attributesOf(planted);
    const path = join(root, name);
    await mkdir(name.endsWith('/') ? path : dirname(path), { recursive: true });
    if (link !== undefined) await symlink(link, path);
    else if (!name.endsWith('/')) await writeFile(path, content);
  }
  for (const name of Object.keys(tree).sort().reverse()) {
    const { link, mode, mtimeMs = LONG_AGO } = attributesOf(tree[name] ?? '');
    const path = join(root, name);
    if (mode !== undefined && link === undefined) await chmod(path, mode);
    await setTime(path, mtimeMs);
  }
  return root;
}

/** Sets the time of a file, a directory or a link, exactly; fractions of milliseconds and times before 1970 too. */
export async function setTime(path: string, mtimeMs: number): Promise<void> {
  // As text: Node takes a negative number for the present. Half a microsecond more, since it cuts.
  await lutimes(path.replace(/\/+$/, ''), 0, String((mtimeMs * 1000 + 0.5) / 1_000_000));
}

/** Everything below `root`, which is `""` itself, by path. Links are not followed. */
export async function treeAt(root: string): Promise<Record<string, Standing>> {
  const found: Record<string, Standing> = {};
  const waiting = [''];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const standing = await standingAt(join(root, path));
    found[path] = standing;
    if (standing.type !== 'directory') continue;
    waiting.push(...(await readdir(join(root, path))).map((name) => join(path, name)));
  }
  return found;
}

/** The same in short, without times, bits and the top: `-> target` for a link, a path with `/` for a directory. */
export async function contentsAt(root: string): Promise<Record<string, string>> {
  const entries = Object.entries(await treeAt(root)).filter(([path]) => path !== '');
  return Object.fromEntries(
    entries.map(([path, { type, content, target }]) =>
      type === 'directory'
        ? [`${path}/`, '']
        : [path, target === undefined ? (content ?? type) : `-> ${target}`],
    ),
  );
}

function attributesOf(planted: Planted): Exclude<Planted, string | Buffer> {
  return typeof planted === 'string' || Buffer.isBuffer(planted) ? { content: planted } : planted;
}

async function standingAt(path: string): Promise<Standing> {
  const stats = await lstat(path, { bigint: true });
  const mtimeMs = Math.floor(Number(stats.mtimeNs / 1_000n) / 1_000);
  if (stats.isSymbolicLink()) return { type: 'symlink', mtimeMs, target: await readlink(path) };
  const mode = (Number(stats.mode) & 0o7777).toString(8);
  if (stats.isDirectory()) return { type: 'directory', mode, mtimeMs };
  if (!stats.isFile()) return { type: 'other', mode, mtimeMs };
  return { type: 'file', mode, mtimeMs, content: shown(await readFile(path)) };
}

function shown(content: Buffer): string {
  if (content.length <= 64) return content.toString();
  return `${content.length} bytes, ${createHash('sha256').update(content).digest('hex')}`;
}
