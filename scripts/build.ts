// Compiles src/ to dist/, which is what the published package runs: the library file by file, the program in a few
// large files, because loading a file costs more than what most of them hold.
import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, rmSync } from 'node:fs';
import { basename } from 'node:path';

import { build } from 'rolldown';

// A file whose source was deleted must not live on in the package.
rmSync('dist', { recursive: true, force: true });

const compiler = spawnSync('tsc', ['--project', 'scripts/tsconfig.build.json'], {
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
if (compiler.status !== 0) process.exit(compiler.status ?? 1);

// A thread is started by the name of its file, beside the one that starts it.
const threads = Object.fromEntries<string>(
  globSync('src/**/*-thread.ts').map((file) => [basename(file, '.ts'), file] as const),
);
await build({
  input: { main: 'src/cli/main.ts', ...threads },
  platform: 'node',
  // What the package depends on is installed with it.
  external: /^[^./]/,
  // Some files are loaded late where they are not needed at once, and at once elsewhere.
  checks: { ineffectiveDynamicImport: false },
  output: {
    dir: 'dist/cli',
    chunkFileNames: '[name].js',
    sourcemap: true,
    codeSplitting: {
      groups: [
        // All that `--version` and a mistyped command need.
        {
          name: 'program',
          test: /src.(errors|cli.(program|endings|escape|exit-codes|terminal|version|commands.index))\.ts$/,
          priority: 1,
        },
        // What commands have in common, except what brings along much that not all of them need: TLS, a parser.
        {
          name: 'common',
          test: /src.(?!server|storage|diagnostics|transport.(?!address)|client.(client|connector|download)\.ts|cli.toml\.ts)/,
          minShareCount: 2,
        },
      ],
    },
  },
});

chmodSync('dist/cli/main.js', 0o755);
