/** Closes one after the other, each whatever became of those before: what stayed open would keep the process alive. Throws the first failure. */
export async function closeInTurn(
  closings: readonly (() => Promise<void> | undefined | void)[],
): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closings) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
