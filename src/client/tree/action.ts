import type { SealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import type { TreeEntry } from './tree-entry.ts';

/** Why something that the source has is left as it stands at the target. */
export type SkipReason =
  'unchanged' | 'newer' | 'exists' | 'link' | 'special' | 'reserved' | 'changed' | 'vanished';

/** One step by which a target becomes like its source. Paths are relative to the top. */
export type Action =
  | DirectoryAction
  | SendAction
  /** The content is the same; only time or permission bits are set. */
  | { kind: 'attributes'; entry: TreeEntry; existing: TreeEntry }
  /** The target has the content under another name, which the source lacks. */
  | MoveAction
  | { kind: 'delete'; entry: TreeEntry }
  | { kind: 'skip'; entry: TreeEntry; reason: SkipReason }
  | { kind: 'refuse'; entry: TreeEntry; error: SealiftError };

/** Make a directory, or, where one stands, see to its attributes if `differs`. */
export interface DirectoryAction {
  kind: 'directory';
  entry: TreeEntry;
  existing?: TreeEntry | undefined;
  differs: boolean;
}

export interface MoveAction {
  kind: 'move';
  entry: TreeEntry;
  from: TreeEntry;
  /** The directory that it leaves, where the source lacks that too: it may have to be opened. */
  fromDirectory?: TreeEntry | undefined;
}

/** Send a file or a link. `late`: a directory is in the way and goes first, with all in it. */
export interface SendAction {
  kind: 'file' | 'link';
  entry: TreeEntry;
  /** Where it goes: the entry's own path, or another with `--if-exists rename`. */
  to: string;
  existing?: TreeEntry | undefined;
  late: boolean;
  /** It was sent in this run, and may have been lost: what stands there is most likely itself. */
  again?: boolean;
}

/** A larger file that most likely stands already is not sent before its digest was looked at; a smaller one takes less time than that. */
const MAX_SENT_AGAIN_BYTES = 16 * 2 ** 10;

/** Whether only what the target lacks of the file is to be sent, not all at once. */
export function goesByBlocks({ entry, again = false }: SendAction): boolean {
  return entry.size > (again ? MAX_SENT_AGAIN_BYTES : BLOCK_BYTES);
}

/** Whether the action changes anything at the target. */
export function isChange(action: Action): boolean {
  if (action.kind === 'skip' || action.kind === 'refuse') return false;
  return action.kind !== 'directory' || action.existing === undefined || action.differs;
}

/** That nothing is done with `path`, and why. */
export function refusal(path: string, error: SealiftError): Action {
  return { kind: 'refuse', entry: unknownEntry(path), error };
}

/** Of what stands there no more than the name matters. */
export function unknownEntry(path: string): TreeEntry {
  return { path, type: 'file', size: 0, mtimeMs: 0, mode: 0 };
}
