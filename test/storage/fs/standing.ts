import { hash } from 'node:crypto';
import { OPEN, type FileSystem } from '../../../src/storage/fs/file-system.ts';

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
  return hash('sha256', content);
}
