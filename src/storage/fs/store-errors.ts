import { isDiskFull, isSealiftError, SealiftError, systemCode, type ErrorCode } from '../../errors.ts';
import { STATE_DIRECTORY } from '../own-names.ts';

const OTHER_FILE_SYSTEM = 'lies on another file system than the root of the server';
const MEANINGS: Readonly<Record<string, { code: ErrorCode; says: string }>> = {
  ENOENT: { code: 'not-found', says: 'does not exist' },
  EISDIR: { code: 'is-directory', says: 'is a directory' },
  ENOTDIR: { code: 'not-directory', says: 'is not a directory, or leads through something that is none' },
  ELOOP: { code: 'not-directory', says: 'leads through a symbolic link, which is never followed' },
  ENOTEMPTY: { code: 'not-empty', says: 'is a directory that is not empty' },
  EEXIST: { code: 'exists', says: 'exists already' },
  ENAMETOOLONG: { code: 'bad-name', says: 'is too long for the file system of the server' },
  EILSEQ: { code: 'bad-name', says: 'is no name for the file system of the server' },
  EACCES: { code: 'forbidden', says: 'is not accessible to the server process' },
  EPERM: { code: 'forbidden', says: 'may not be changed by the server process' },
  EROFS: { code: 'forbidden', says: 'lies on a file system that is read-only' },
  ENOSPC: {
    code: 'no-space',
    says: 'does not fit: the disk of the server is full (no blocks, or no inodes for new names, are left)',
  },
  EDQUOT: { code: 'no-space', says: 'does not fit: the disk quota of the server process is used up' },
  EFBIG: { code: 'too-large', says: 'is larger than the file system of the server allows' },
  EMFILE: { code: 'busy', says: 'cannot be opened now: the server has too many open files' },
  ENFILE: { code: 'busy', says: 'cannot be opened now: the server has too many open files' },
  EXDEV: { code: 'unsupported', says: OTHER_FILE_SYSTEM },
};
const ON_READ_ONLY =
  'The server keeps what it needs in there. Serve a directory that can be written to, and mount the read-only file system below it.';

const REFUSED_BY_DIRECTORY: (typeof MEANINGS)[string] = {
  code: 'forbidden',
  says: 'cannot be made, replaced or removed: the directory does not permit it',
};
/** Calls that change a directory: refused, they say nothing of what stands in it. */
const NAMING_CALLS: readonly unknown[] = ['mkdir', 'rename', 'link', 'symlink', 'unlink', 'rmdir'];

/** What a failed file-system call on the remote `path` means. The cause is kept for the log and never sent. */
export function storeError(error: unknown, path: string): SealiftError {
  if (isSealiftError(error)) return error;
  const meaning = isRefusedByDirectory(error) ? REFUSED_BY_DIRECTORY : MEANINGS[systemCode(error) ?? ''];
  if (meaning === undefined)
    return new SealiftError('internal', 'The storage of the server failed.', { cause: error });
  const subject = path === '' ? 'The root' : JSON.stringify(path);
  return new SealiftError(meaning.code, `${subject} ${meaning.says}.`, { cause: error });
}

/** What a failure to open the store in the directory `root` of this machine means to its operator. */
export function cannotServe(root: string, cause: unknown): SealiftError {
  const code = systemCode(cause);
  return new SealiftError(
    isDiskFull(cause) ? 'local-no-space' : 'bad-configuration',
    `The directory ${root} cannot be served: it or ${STATE_DIRECTORY} in it is not usable (${code ?? String(cause)}).`,
    code === 'EROFS' ? { cause, hint: ON_READ_ONLY } : { cause },
  );
}

/** That nothing can be renamed to the remote `path`, as `storeError` tells it of the attempt. */
export function otherFileSystem(path: string): SealiftError {
  return new SealiftError('unsupported', `${JSON.stringify(path)} ${OTHER_FILE_SYSTEM}.`);
}

function isRefusedByDirectory(error: unknown): boolean {
  return systemCode(error) === 'EACCES' && NAMING_CALLS.includes((error as { syscall?: unknown }).syscall);
}

/** Runs `task`, whose file-system calls concern the remote `path`, and explains their failures. */
export async function explaining<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw storeError(error, path);
  }
}

/** For `catch`, where it does no harm that a path leads nowhere any more; any other error goes on. */
export function passOverGone(error: unknown): undefined {
  if (!isSealiftError(error, 'not-found', 'not-directory')) throw error;
}
