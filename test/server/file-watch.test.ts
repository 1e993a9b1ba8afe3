import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

import { FileWatch, stateOf } from '../../src/server/file-watch.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { temporaryDirectory } from '../support/test-server.ts';

let directory: string;
let clock: FakeClock;
let changes: number;

beforeEach(async () => {
  directory = await temporaryDirectory();
  clock = new FakeClock();
  changes = 0;
});

/** Lets the watch look once. */
async function look(): Promise<void> {
  await clock.whenScheduled();
  clock.advance(1_000);
  await clock.whenScheduled();
}

async function watch(...names: string[]): Promise<void> {
  const paths = names.map((name) => join(directory, name));
  const begun = new FileWatch(paths, clock, await stateOf(paths), () => (changes += 1));
  onTestFinished(() => begun.close());
}

test('tells once of a change, when the files stand still again', async () => {
  await writeFile(join(directory, 'cert'), 'one');
  await watch('cert', 'key');
  await look();
  expect(changes).toBe(0);
  await writeFile(join(directory, 'cert'), 'three');
  await look();
  // The key is replaced after the certificate.
  await writeFile(join(directory, 'key'), 'three');
  await look();
  expect(changes).toBe(0);
  await look();
  expect(changes).toBe(1);
  await look();
  expect(changes).toBe(1);
});

test('sees a file that is replaced by one of the same size and time, one that goes, and one that comes', async () => {
  await writeFile(join(directory, 'users'), 'one');
  await watch('users');
  await writeFile(join(directory, 'new'), 'two');
  await rename(join(directory, 'new'), join(directory, 'users'));
  await look();
  await look();
  expect(changes).toBe(1);
  await rm(join(directory, 'users'));
  await look();
  await look();
  expect(changes).toBe(2);
  await writeFile(join(directory, 'users'), 'two');
  await look();
  await look();
  expect(changes).toBe(3);
});

test("follows links, as certbot's `live` directory is made of", async () => {
  await mkdir(join(directory, 'archive'));
  await writeFile(join(directory, 'archive/cert1.pem'), 'one');
  await writeFile(join(directory, 'archive/cert2.pem'), 'two');
  await symlink('archive/cert1.pem', join(directory, 'cert.pem'));
  await watch('cert.pem');
  await symlink('archive/cert2.pem', join(directory, 'new'));
  await rename(join(directory, 'new'), join(directory, 'cert.pem'));
  await look();
  await look();
  expect(changes).toBe(1);
});

test('leaves no timer behind', async () => {
  const paths = [join(directory, 'x')];
  const begun = new FileWatch(paths, clock, await stateOf(paths), () => undefined);
  begun.close();
  expect(clock.pendingCount).toBe(0);
});
