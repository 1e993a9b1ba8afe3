import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, resolve } from 'node:path';

import { titlePattern, type Mutation, type NamedTest } from './mutation.ts';

/** What is not copied: nobody has written it, or it is not of this tree. */
const NOT_COPIED = ['.git', 'node_modules', 'dist', 'coverage'];
/** What is compiled. */
const PROJECT = 'tsconfig.sources.json';
/** How long a run of tests or a type check may take, in milliseconds: a bug may make them hang. */
const LIMIT_MS = 600_000;

/** How a test went; `skipped` of those that were not asked for. */
interface TestResult {
  file: string;
  fullName: string;
  status: string;
}

/** A copy of a work tree, in which bugs are put and taken out again. */
export class BrokenTree {
  readonly #root: string;
  readonly #path: string;
  readonly #temporary: string;
  readonly #running = new Set<ChildProcess>();

  /** Copies the tree at `root`; what is installed there is used where it lies. */
  constructor(root: string) {
    this.#root = resolve(root);
    this.#path = mkdtempSync(join(tmpdir(), 'sealift-mutations-'));
    cpSync(this.#root, this.#path, {
      recursive: true,
      filter: (file) => !NOT_COPIED.includes(relative(this.#root, file)),
    });
    this.#temporary = join(this.#path, 'tmp/t');
    mkdirSync(this.#temporary, { recursive: true });
    symlinkSync(join(this.#root, 'node_modules'), join(this.#path, 'node_modules'));
    // Bugs are put into the sources alone, and to look at these takes half as long as to look at all.
    writeFileSync(join(this.#path, PROJECT), '{ "extends": "./tsconfig.json", "include": ["src"] }');
  }

  /** Runs `task` with the bug in the tree; undefined if the patch does not apply. */
  async with<T>({ patch }: Mutation, task: () => Promise<T>): Promise<T | undefined> {
    if (!(await this.#run('git', ['apply', patch]))) return undefined;
    try {
      return await task();
    } finally {
      await this.#takeBack(patch);
    }
  }

  /** Whether the sources compile. After the first time only what a bug touches is looked at. */
  compiles(): Promise<boolean> {
    const incremental = ['--incremental', '--tsBuildInfoFile', 'sources.tsbuildinfo'];
    return this.#run('tsc', ['--project', PROJECT, ...incremental]);
  }

  /** Runs tests, and no others of their files; resolves with how each went. Of tests that hang nothing is told. */
  async run(tests: readonly NamedTest[]): Promise<TestResult[]> {
    const report = join(this.#path, 'report.json');
    rmSync(report, { force: true });
    const files = new Set(tests.map(({ file }) => file));
    const reporter = ['--reporter=json', `--outputFile=${report}`];
    const chosen = ['--testNamePattern', titlePattern(tests), ...files];
    await this.#run('vitest', ['run', '--config', 'scripts/vitest.config.ts', ...reporter, ...chosen]);
    return this.#resultsIn(report);
  }

  /** Ends whatever runs in it, and removes it. */
  close(): void {
    for (const child of this.#running) end(child);
    rmSync(this.#path, { recursive: true, force: true });
  }

  async #takeBack(patch: string): Promise<void> {
    if (!(await this.#run('git', ['apply', '--reverse', patch])))
      throw new Error(`${patch} cannot be taken back.`);
  }

  #resultsIn(report: string): TestResult[] {
    let text: string;
    try {
      text = readFileSync(report, 'utf8');
    } catch {
      return [];
    }
    const { testResults } = JSON.parse(text) as Report;
    return testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((result) => ({ ...result, file: relative(this.#path, name) })),
    );
  }

  /** Runs a program in the tree; resolves with whether it ended well. */
  async #run(program: string, args: readonly string[]): Promise<boolean> {
    const { SEALIFT_TEST_LONG: _long, PATH = '', ...environment } = process.env;
    const programs = join(this.#root, 'node_modules/.bin');
    const child = spawn(program, args, {
      cwd: this.#path,
      stdio: 'ignore',
      // With all that it starts it can be ended, also where that hangs.
      detached: true,
      env: {
        ...environment,
        PATH: `${programs}${delimiter}${PATH}`,
        CI: 'false',
        // Deep enough for what a bug lets climb out of its directory.
        TMPDIR: this.#temporary,
        // Nothing that stands above is taken for the repository of the patches.
        GIT_CEILING_DIRECTORIES: dirname(this.#path),
      },
    });
    const { promise, resolve: ended, reject } = Promise.withResolvers<boolean>();
    child.once('error', reject).once('exit', (code) => ended(code === 0));
    const timer = setTimeout(() => end(child), LIMIT_MS);
    this.#running.add(child);
    try {
      return await promise;
    } finally {
      this.#running.delete(child);
      clearTimeout(timer);
    }
  }
}

function end({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}

interface Report {
  testResults: { name: string; assertionResults: Omit<TestResult, 'file'>[] }[];
}
