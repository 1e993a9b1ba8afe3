// Compiles src/ to dist/, which is what the published package runs: the library file by file, the program in a few
// large files.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';

import { build } from 'rolldown';
import { programBuild } from './program-build.ts';

// A file whose source was deleted must not live on in the package.
rmSync('dist', { recursive: true, force: true });

const compiler = spawnSync('tsc', ['--project', 'scripts/tsconfig.build.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
if (compiler.status !== 0) process.exit(compiler.status ?? 1);

await build(programBuild('dist/cli'));

chmodSync('dist/cli/main.js', 0o755);
