import { Directory } from '../../../src/storage/fs/directory.ts';
import { systemFiles } from '../../../src/storage/fs/file-system.ts';

/** What tells the directory at `path` from every other. */
export async function directoryNode(path: string): Promise<string> {
  const directory = await Directory.open(systemFiles, path);
  try {
    return await directory.node();
  } finally {
    await directory.close();
  }
}
