import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Connector } from '../../../src/client/connector.ts';
import { PARTIAL_NAME } from '../../../src/client/partial-file.ts';
import { isSealiftError } from '../../../src/errors.ts';
import { seededRandom } from '../../../src/random.ts';
import { AT_ONCE } from '../../client/setting.ts';
import { ERRANDS, type Errand, type Place } from '../errands.ts';
import { FakeClock } from '../fake-clock.ts';
import { headerOf, startMessageProxy, type Frame } from '../message-proxy.ts';
import { contentsAt, plantTree } from '../planted-tree.ts';
import { between, pick } from '../seeded.ts';
import { tokenOf } from '../test-server.ts';
import { turnUntilSettled } from '../turning.ts';
import { FuzzedServer } from './fuzzed-server.ts';
import { chance, flipped, mutated, type Parcel } from './mutations.ts';
import type { Script, Target } from './target.ts';

/** One answer that is changed: the how many-th, and by which random choices. */
interface Change {
  answer: number;
  seed: number;
}

interface Lies extends Script<Change> {
  errand: Errand;
}

const TOP = 'mine';
/** Listings that take long are for others. */
const LIED_TO = ERRANDS.filter(({ name }) => !/many/.test(name));
/** Turns of the loop before another second passes. */
const TURNS_PER_SECOND = 10;

/** A client that is answered otherwise than the server meant it. */
export async function startAnswerTarget(): Promise<Target<Lies>> {
  const fuzzed = await FuzzedServer.start();
  const proxy = await startMessageProxy(fuzzed.server.address);
  let rounds = 0;
  return {
    invent: (random) => ({
      errand: pick(random, LIED_TO),
      steps: Array.from({ length: between(random, 1, 3) }, () => ({
        // The first ones come in every errand.
        answer: Math.min(between(random, 0, 8), between(random, 0, 8)),
        seed: between(random, 0, 2 ** 32),
      })),
    }),
    perform: async ({ errand, steps }) => {
      rounds += 1;
      const seen: Parcel[] = [];
      proxy.onFrame = (frame) => ({
        forward: frame.way === 'up' ? frame.bytes : changed(frame, steps, seen),
      });
      const clock = new FakeClock();
      const login = { token: tokenOf('all'), clock };
      const here = join(fuzzed.root, '..', `here-${rounds}`);
      const [connector, direct] = [proxy, fuzzed.server].map(
        ({ address, pin }) => new Connector({ address, pins: [pin], ...login }),
      ) as [Connector, Connector];
      const [local, state] = [join(here, 'local'), join(here, 'state')];
      await rm(join(fuzzed.root, TOP), { recursive: true, force: true });
      await plantTree(join(fuzzed.root, TOP), errand.before.remote);
      await plantTree(local, errand.before.local);
      await mkdir(state);
      const place = {
        connector,
        direct,
        top: TOP,
        local,
        state,
        transfer: { retry: { ...AT_ONCE, retries: 2 } },
      };
      const outcome = await settled(errandAt(errand, place), clock);
      await settled(Promise.all([connector, direct].map((each) => each[Symbol.asyncDispose]())), clock);
      await fuzzed.assertLeft();
      await fuzzed.assertServes();
      await assertBorne(outcome, { errand, here, local, remote: join(fuzzed.root, TOP) });
      await rm(here, { recursive: true });
    },
    describe: ({ errand, steps }) => [
      `  ${errand.name}`,
      ...steps.map(({ answer, seed }) => `  answer ${answer} changed by the seed ${seed}`),
    ],
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await fuzzed[Symbol.asyncDispose]();
    },
  };
}

async function errandAt(errand: Errand, place: Place): Promise<void> {
  await errand.prepare?.(place);
  await errand.run(place);
}

/** The bytes of an answer, changed if a step says so. Of those seen before, parts may be taken. */
function changed(frame: Frame, steps: readonly Change[], seen: Parcel[]): Buffer {
  const { 'content-length': _, ...header } = headerOf(frame);
  const parcel = { header, content: frame.bytes.subarray(frame.contentStart) };
  const step = steps.find(({ answer }) => answer === seen.length);
  seen.push(parcel);
  if (step === undefined) return frame.bytes;
  const random = seededRandom(step.seed);
  const isFlipped = parcel.content.length > 0 && chance(random, 0.3);
  if (!isFlipped) return mutated(parcel, seen, random);
  return Buffer.concat([frame.bytes.subarray(0, frame.contentStart), flipped(parcel.content, random)]);
}

/** What `task` failed with; time passes meanwhile. Throws if it never ends. */
async function settled(task: Promise<unknown>, clock: FakeClock): Promise<unknown> {
  await turnUntilSettled(task, 'the client does not come to an end', (turn) => {
    if (turn % TURNS_PER_SECOND === 0) clock.advance(1_000);
  });
  return task.then(
    () => undefined,
    (failure: unknown) => failure,
  );
}

/** Throws unless the errand is done, or has failed in order. */
async function assertBorne(
  outcome: unknown,
  { errand, here, local, remote }: { errand: Errand; here: string; local: string; remote: string },
): Promise<void> {
  const isLie = outcome instanceof Error && outcome.message.includes(' came where ');
  if (outcome !== undefined && !isLie && !isSealiftError(outcome))
    throw new Error('the client failed with what is no error of its own', { cause: outcome });
  if (isSealiftError(outcome) && outcome.message.startsWith('Something failed that should not have'))
    throw new Error('the client failed within', { cause: outcome });
  const beside = (await readdir(here)).filter((name) => !['local', 'state'].includes(name));
  if (beside.length > 0) throw new Error(`the client made ${beside.join(', ')}`);
  if (/tree/.test(errand.name)) return;
  for (const [side, directory] of Object.entries({ local, remote }) as ['local' | 'remote', string][]) {
    const found = await contentsAt(directory);
    const [before, after] = [await shown(errand.before[side]), await shown(errand.after[side])];
    for (const [path, content] of Object.entries(found)) {
      const isSound = content === after[path] || (outcome !== undefined && content === before[path]);
      if (!isSound && !(outcome !== undefined && PARTIAL_NAME.test(path)))
        throw new Error(`${path} (${side}) holds what it should not: ${content.slice(0, 100)}`);
    }
    const missing = Object.keys(after).filter((path) => !(path in found));
    if (outcome === undefined && missing.length > 0)
      throw new Error(`${missing.join(', ')} (${side}) is missing`);
  }
}

const shownTrees = new Map<object, Record<string, string>>();

async function shown(tree: Errand['after']['local']): Promise<Record<string, string>> {
  let contents = shownTrees.get(tree);
  if (contents === undefined) {
    const directory = await mkdtemp(join(tmpdir(), 'sealift-fuzz-shown-'));
    contents = await contentsAt(await plantTree(join(directory, 'tree'), tree));
    await rm(directory, { recursive: true });
    shownTrees.set(tree, contents);
  }
  return contents;
}
