import { hash } from 'node:crypto';
import { OPEN, type FileSystem } from '../../../src/storage/fs/file-system.ts';

/** From here on a content is looked for among the last ones first: trials look at the same few some thousand times, and to compare costs a tenth of hashing. */
const LARGE_BYTES = 65_536;
const MAX_RECENT = 8;
const recent: { content: Buffer; hash: string }[] = [];

/** What stands in a directory, sorted. */
export interface Standing {
  /** Files with the hash of their content, links with their target. */
  files: string[];
  directories: string[];
}

/** The path in a line of a standing. */
export function pathIn(line: string): string {
  return line.replace(/(: [0-9a-f]{64}| -> .*)$/, '');
}

/** What stands in the directory `path` of a file system. */
export async function standing(files: FileSystem, path: string): Promise<Standing> {
  const found: Standing = { files: [], directories: [] };
  const look = async (below: string): Promise<void> => {
    for await (const each of files.names(`${path}${below}`)) {
      const name = `${below}/${each}`;
      const stats = await files.lstat(`${path}${name}`);
      if (stats.isSymbolicLink()) found.files.push(`${name} -> ${await files.readlink(`${path}${name}`)}`);
      else if (stats.isFile()) found.files.push(`${name}: ${await hashOf(files, `${path}${name}`)}`);
      else {
        found.directories.push(name);
        await look(name);
      }
    }
  };
  await look('');
  return { files: found.files.sort(), directories: found.directories.sort() };
}

/** The hash of the content in a line of `standing`; undefined for a link. */
export function hashIn(line: string): string | undefined {
  return /: ([0-9a-f]{64})$/.exec(line)?.[1];
}

async function hashOf(files: FileSystem, path: string): Promise<string> {
  const file = await files.open(path, OPEN.read);
  const content = Buffer.alloc(Number((await file.stat()).size));
  await file.read(content, 0, content.length);
  await file.close();
  return hashOfContent(content);
}

/** What `standing` shows of a content. */
export function hashOfContent(content: Buffer): string {
  if (content.length < LARGE_BYTES) return hash('sha256', content);
  let known = recent.find((each) => each.content.equals(content));
  if (known === undefined) {
    known = { content: Buffer.from(content), hash: hash('sha256', content) };
    recent.unshift(known);
    recent.splice(MAX_RECENT);
  }
  return known.hash;
}
