/** What `--if-exists` says. */
export type IfExists = 'overwrite' | 'skip' | 'fail' | 'rename';
