import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Time and chance come from src/clock.ts and src/random.ts, so that a test can decide both.
const clock = 'Take time and timers from the injected clock (src/clock.ts).';
const random = 'Take random values from the injected source (src/random.ts).';
const surroundings = 'Only src/cli reads the environment and prints; the library is told.';
const sockets = 'Sockets belong to src/transport.';
const exit = 'Only src/cli/main.ts ends the process.';
const disk = 'The store reaches the disk through src/storage/fs/file-system.ts and what that is made of.';

const disposing = 'Node 22 does not parse it, and tsc leaves dynamic imports around it unfinished.';

const timers = ['setTimeout', 'setInterval', 'setImmediate'];
const chances = ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues'];

const timeAndChance = {
  globals: [...timers.map((name) => ({ name, message: clock })), { name: 'performance', message: clock }],
  properties: [
    { object: 'Date', property: 'now', message: clock },
    { object: 'AbortSignal', property: 'timeout', message: clock },
    { object: 'process', property: 'hrtime', message: clock },
    { object: 'process', property: 'uptime', message: clock },
    { object: 'Math', property: 'random', message: random },
    ...timers.map((property) => ({ object: 'globalThis', property, message: clock })),
    ...chances.map((property) => ({ object: 'crypto', property, message: random })),
  ],
  imports: [
    ...modules(['timers', 'timers/promises', 'perf_hooks'], { message: clock }),
    ...modules(['crypto'], { importNames: chances, message: random }),
  ],
  syntax: [
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clock },
    { selector: "CallExpression[callee.name='Date']", message: clock },
    { selector: "VariableDeclaration[kind='await using']", message: disposing },
    { selector: "VariableDeclaration[kind='using']", message: disposing },
  ],
};
const printing = {
  globals: [{ name: 'console', message: surroundings }],
  properties: ['env', 'argv', 'stdin', 'stdout', 'stderr'].map((property) => ({
    object: 'process',
    property,
    message: surroundings,
  })),
};
const ending = {
  properties: [{ object: 'process', property: 'exit', message: exit }],
  imports: modules(['process'], { message: 'Use the global process.' }),
};
const networking = {
  imports: modules(['net', 'tls', 'dgram', 'http', 'https', 'http2'], { message: sockets }),
};
const fileSystem = { imports: modules(['fs', 'fs/promises'], { message: disk }) };

export default defineConfig(
  globalIgnores(['dist', 'coverage']),
  {
    files: ['**/*.ts'],
    extends: [js.configs.recommended, tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: process.cwd() } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // Without `await`, a `using` or a `finally` runs before the work that it is to follow.
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // An async function without await is how a synchronous implementation keeps an asynchronous contract.
      '@typescript-eslint/require-await': 'off',
      // The compiler reports these already.
      '@typescript-eslint/no-unused-vars': 'off',
    },
  },
  {
    files: ['test/**'],
    rules: {
      // Matchers such as expect.any() are typed any, and mocks are passed about unbound on purpose.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  // A later entry replaces an earlier one, so each names everything that is restricted there.
  restrict(['src/**'], timeAndChance, printing, ending, networking),
  restrict(['src/transport/**'], timeAndChance, printing, ending),
  restrict(['src/storage/**'], timeAndChance, printing, ending, networking, fileSystem),
  restrict(
    ['file-system.ts', 'open-file.ts', 'remove-tree.ts', 'blocking-files.ts'].map(
      (name) => `src/storage/fs/${name}`,
    ),
    timeAndChance,
    printing,
    ending,
    networking,
  ),
  restrict(['src/cli/**'], timeAndChance, ending, networking),
  restrict(['src/cli/main.ts'], timeAndChance, networking),
  restrict(['src/clock.ts', 'src/random.ts'], printing, ending, networking),
);

/** What is restricted in these files: the union of the given bans. */
function restrict(files, ...bans) {
  const all = (kind) => bans.flatMap((ban) => ban[kind] ?? []);
  return {
    files,
    rules: {
      'no-restricted-globals': ['error', ...all('globals')],
      'no-restricted-properties': ['error', ...all('properties')],
      'no-restricted-syntax': ['error', ...all('syntax')],
      'no-restricted-imports': ['error', { paths: all('imports') }],
    },
  };
}

/** One entry for each spelling of a module of Node's own: with the prefix and without. */
function modules(names, ban) {
  return names.flatMap((name) => [name, `node:${name}`]).map((name) => ({ name, ...ban }));
}
