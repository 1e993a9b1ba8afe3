import { SealiftError } from '../errors.ts';

/** Bytes of a whole path in UTF-8: what Linux takes as PATH_MAX. */
export const MAX_PATH_BYTES = 4096;
/** Bytes of one component in UTF-8: what nearly every file system takes as NAME_MAX. */
export const MAX_COMPONENT_BYTES = 255;

// C0, DEL and C1: a name with one of these forges terminal output and log lines.
// eslint-disable-next-line no-control-regex -- finding control characters is what this expression is for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * What is wrong with `path` by the grammar of SPEC.md ("Paths"), as the end of a sentence that begins with the
 * path; undefined if nothing is. The empty path is the root.
 */
export function pathProblem(path: string): string | undefined {
  if (path === '') return undefined;
  if (!path.isWellFormed()) return 'holds a lone surrogate';
  const control = CONTROL_CHARACTER.exec(path);
  if (control)
    return `holds the control character ${describeCharacter(control[0])} at position ${control.index}`;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`;
  for (const component of path.split('/')) {
    if (component === '') return 'has an empty component (a slash at its beginning, at its end, or doubled)';
    if (component === '.' || component === '..') return `has the component "${component}"`;
    if (Buffer.byteLength(component) > MAX_COMPONENT_BYTES)
      return `has a component longer than ${MAX_COMPONENT_BYTES} bytes`;
  }
  return undefined;
}

/** Throws `bad-name` unless `path` is a path by the grammar; the root is one only if `allowRoot`. */
export function checkPath(path: string, { allowRoot }: { allowRoot: boolean }): void {
  const problem =
    path === '' && !allowRoot ? 'is empty: the root itself cannot be meant here' : pathProblem(path);
  if (problem !== undefined)
    throw new SealiftError('bad-name', `The path ${JSON.stringify(path.slice(0, 300))} ${problem}.`);
}

/** The path of `component` inside `directory`; `""` is the root. */
export function joinPath(directory: string, component: string): string {
  return directory === '' ? component : `${directory}/${component}`;
}

/** The directory that holds `path`, `""` for one in the root. */
export function parentPath(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The last component of `path`. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The components of `path`; none of the root. */
export function components(path: string): string[] {
  return path === '' ? [] : path.split('/');
}

/** Whether `path` is `directory` or lies inside it, by components and not by string prefix. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

function describeCharacter(character: string): string {
  return `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}
