// Compiles src/ to dist/, which is what the published package runs.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';

// A file whose source was deleted must not live on in the package.
rmSync('dist', { recursive: true, force: true });

const compiler = spawnSync('tsc', ['--project', 'scripts/tsconfig.build.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
if (compiler.status !== 0) process.exit(compiler.status ?? 1);

chmodSync('dist/cli/main.js', 0o755);
