import * as fs from 'node:fs';

import { secondsOf } from '../../clock.ts';
import { systemFiles, textOf, type FileSystem } from './file-system.ts';
import { HANDLES, OPEN, type OpenFile } from './open-file.ts';

/** Thrown by `sync` here: a thread that does many small things for everybody must not wait for the disk. */
export class NeedsDisk extends Error {}

/**
 * The file system of this machine by calls that block, for a thread of its own: a few microseconds each, where one
 * that goes through Node's thread pool costs ten times that. Only what small files need.
 */
export const blockingFiles: FileSystem = {
  ...systemFiles,
  open: async (path, flags, mode) => openFile(fs.openSync(path, flags, mode), flags),
  lstat: async (path) => fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? noEntry(path),
  names: async function* (path, { isSmall } = { isSmall: false }) {
    if (isSmall) return yield* fs.readdirSync(path);
    const directory = fs.opendirSync(path, { bufferSize: 256 });
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) yield entry.name;
    } finally {
      directory.closeSync();
    }
  },
  mkdir: async (path, mode) => void fs.mkdirSync(path, mode),
  rmdir: async (path) => fs.rmdirSync(path),
  symlink: async (target, path) => fs.symlinkSync(target, path),
  setTimes: async (path, accessMs, modifiedMs) =>
    fs.lutimesSync(path, secondsOf(accessMs), secondsOf(modifiedMs)),
  rename: async (from, to) => fs.renameSync(from, to),
  link: async (existing, path) => fs.linkSync(existing, path),
  unlink: async (path) => fs.unlinkSync(path),
  readlink: async (path) => textOf(fs.readlinkSync(path, { encoding: 'buffer' })),
};

/** Brings the data of the file at `path`, which is no link, to the disk: for a thread that does nothing but wait for it. */
export function syncWaiting(path: string): void {
  const fd = fs.openSync(path, OPEN.read);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

// Most names are looked for before they are made. An error of the system tells where it arose, which costs more than the
// look.
function noEntry(path: string): never {
  throw Object.assign(Object.create(Error.prototype) as Error, {
    code: 'ENOENT',
    message: `ENOENT: no such file or directory, lstat '${path}'`,
  });
}

function openFile(fd: number, flags: number): OpenFile {
  let isOpen = true;
  // See open-file.ts; the call for handles is the quicker one.
  const changeMode = (mode: number) =>
    flags === OPEN.attributes && HANDLES !== undefined
      ? fs.chmodSync(`${HANDLES}/${fd}`, mode)
      : fs.fchmodSync(fd, mode);
  return {
    fd,
    read: async (target, position, length) => fs.readSync(fd, target, 0, length, position),
    write: async (source, position) => fs.writeSync(fd, source, 0, source.length, position),
    stat: async () => fs.fstatSync(fd, { bigint: true }),
    truncate: async (size) => fs.ftruncateSync(fd, size),
    chmod: async (mode) => changeMode(mode),
    setTimes: async (accessMs, modifiedMs) => fs.futimesSync(fd, secondsOf(accessMs), secondsOf(modifiedMs)),
    sync: () => Promise.reject(new NeedsDisk()),
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      fs.closeSync(fd);
    },
  };
}
