/**
 * Runs `task` and disposes of `resource` in any case. In the place of `await using`, which the oldest supported Node
 * does not parse, and for which the compiler leaves import paths around it unfinished.
 */
export async function disposing<T>(resource: AsyncDisposable, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } finally {
    await resource[Symbol.asyncDispose]();
  }
}
