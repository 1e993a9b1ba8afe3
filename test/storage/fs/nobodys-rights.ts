import { afterAll, beforeAll } from 'vitest';

/** Permissions mean nothing to root: run by it, the tests of a file take the rights of nobody in particular meanwhile. */
export function useNobodysRights(): void {
  const isRoot = process.getuid?.() === 0;
  beforeAll(() => {
    if (isRoot) process.seteuid?.(65_534);
  });
  afterAll(() => {
    if (isRoot) process.seteuid?.(0);
  });
}
