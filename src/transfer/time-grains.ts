/** To how many milliseconds file systems keep times that keep them to no millisecond: FAT, ext with small inodes and some servers of files, exFAT. The coarsest first. */
export const TIME_GRAINS_MS = [2_000, 1_000, 10] as const;
