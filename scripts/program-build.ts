import { globSync } from 'node:fs';
import { basename } from 'node:path';
import type { BuildOptions } from 'rolldown';

/** How the program is made from `src`: a few large files, because loading a file costs more than what most of them hold. */
export function programBuild(directory: string): BuildOptions {
  // A thread is started by the name of its file, beside the one that starts it.
  const threads = Object.fromEntries<string>(
    globSync('src/**/*-thread.ts').map((file) => [basename(file, '.ts'), file] as const),
  );
  return {
    input: { main: 'src/cli/main.ts', ...threads },
    platform: 'node',
    // What the package depends on is installed with it.
    external: /^[^./]/,
    // Some files are loaded late where they are not needed at once, and at once elsewhere.
    checks: { ineffectiveDynamicImport: false },
    output: {
      dir: directory,
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
            test: /src.(?!server|storage|diagnostics|transport.(?!address)|client.(client|connect|connector|download)\.ts|cli.toml\.ts)/,
            minShareCount: 2,
          },
        ],
      },
    },
  };
}
