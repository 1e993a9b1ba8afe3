import { readdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

import { systemFiles, type FileSystem } from '../../src/storage/fs/file-system.ts';

export const upperCase = (name: string) => name.toUpperCase();
export const composed = (name: string) => name.normalize('NFC');

/**
 * The file system of this machine, in whose directories names are the same that are after `fold`, and stay as they were
 * written at first, as in Linux.
 */
export function foldingFiles(fold: (name: string) => string): FileSystem {
  // Only what is reached through an open directory: the path of the root is this machine's.
  const written = async (path: string) => {
    if (!path.startsWith('/proc/')) return path;
    const name = fold(basename(path));
    const standing = (await readdir(dirname(path))).find((other) => fold(other) === name);
    return `${dirname(path)}/${standing ?? basename(path)}`;
  };
  return {
    ...systemFiles,
    open: async (path, ...rest) => systemFiles.open(await written(path), ...rest),
    mkdir: async (path, mode) => systemFiles.mkdir(await written(path), mode),
    lstat: async (path) => systemFiles.lstat(await written(path)),
    link: async (existing, path) => systemFiles.link(await written(existing), await written(path)),
    unlink: async (path) => systemFiles.unlink(await written(path)),
    rename: async (from, to) => systemFiles.rename(await written(from), await written(to)),
  };
}
