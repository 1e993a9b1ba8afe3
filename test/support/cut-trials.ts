import { existsSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

import { Connector } from '../../src/client/connector.ts';
import { isSealiftError } from '../../src/errors.ts';
import { AT_ONCE } from '../client/setting.ts';
import { startAttackedServer, type AttackedServer } from './attacked-server.ts';
import { cuttingAt, type CutPoint } from './cut-points.ts';
import type { Errand, Place, Tree } from './errands.ts';
import { FakeClock } from './fake-clock.ts';
import { startMessageProxy, type Frame, type MessageProxy } from './message-proxy.ts';
import { contentsAt, plantTree } from './planted-tree.ts';
import { temporaryDirectory, tokenOf } from './test-server.ts';
import { MAX_WAIT_MS, settlesWithin, turnUntil, turnUntilSettled } from './turning.ts';

/** The longest that a server keeps a connection on which nothing comes: its idle timeout, after whatever it may be busy with. */
const MAX_SILENCE_MS = 1_000_000;
const SECOND_MS = 1_000;
/** How often the loop turns before another second passes for who may be busy. */
const SETTLING_TURNS = 200;

/** A server, a client, and a line between them that can be cut at any place. Ended with the test. */
export class CutTrials {
  readonly #server: AttackedServer;
  readonly #proxy: MessageProxy;
  readonly #serverClock: FakeClock;
  readonly #scratch: string;
  readonly #shown = new Map<Tree, Record<string, string>>();
  #count = 0;

  private constructor(server: AttackedServer, proxy: MessageProxy, serverClock: FakeClock, scratch: string) {
    this.#server = server;
    this.#proxy = proxy;
    this.#serverClock = serverClock;
    this.#scratch = scratch;
  }

  static async start(): Promise<CutTrials> {
    const clock = new FakeClock();
    const server = await startAttackedServer({ clock });
    const proxy = await startMessageProxy(server.address);
    onTestFinished(() => proxy[Symbol.asyncDispose]());
    return new CutTrials(server, proxy, clock, await temporaryDirectory());
  }

  /** Does an errand undisturbed; resolves with its messages. */
  async record(errand: Errand): Promise<Frame[]> {
    const frames: Frame[] = [];
    this.#proxy.onFrame = (frame) => {
      frames.push(frame);
      return { forward: frame.bytes };
    };
    const trial = await this.#prepare(errand);
    await errand.run(trial.place);
    await this.#leave(trial);
    await this.#assertStands(trial, errand.after);
    return frames;
  }

  /**
   * Does an errand whose connection is cut once, and checks that it is done in the end, or that who asked was told that
   * it may not be; that nothing else is left on either side; and that both have let the connection go. Resolves with
   * whether it came to the cut at all.
   */
  async cut(errand: Errand, point: CutPoint): Promise<boolean> {
    const trial = await this.#prepare(errand);
    const cut = Promise.withResolvers<void>();
    let isCut = false;
    this.#proxy.onFrame = cuttingAt(point, () => {
      isCut = true;
      cut.resolve();
    });
    const running = outcomeOf(errand.run(trial.place));
    if (!(await settlesWithin(Promise.race([cut.promise, running]), MAX_WAIT_MS)))
      throw new Error('it does not come to the cut');
    if (point.kind === 'silence') await this.#passSilence(trial, running);
    // Node may say nothing of a reset, and only time can tell then.
    if (point.kind === 'rst' && !(await settlesWithin(running, MAX_WAIT_MS / 4)))
      await passSeconds(trial.clock, running, () => false);
    if (!(await settlesWithin(running, MAX_WAIT_MS))) throw new Error('the client does not notice the cut');
    const failure = await running;
    await this.#leave(trial, point.kind);
    if (failure === undefined) await this.#assertStands(trial, errand.after);
    else if (errand.isRetried || !isSealiftError(failure, 'connection-lost', 'stalled')) throw failure;
    // Nobody knows whether it was done; but it was done or not.
    else await this.#assertStands(trial, errand.before, errand.after);
    return isCut;
  }

  async #prepare(errand: Errand): Promise<Trial> {
    this.#count += 1;
    const top = `errand-${this.#count}`;
    const local = join(this.#scratch, top, 'local');
    const state = join(this.#scratch, top, 'state');
    await plantTree(join(this.#server.root, top), errand.before.remote);
    await plantTree(local, errand.before.local);
    await mkdir(state);
    const clock = new FakeClock();
    const login = { token: tokenOf('tester'), clock };
    const { address, pin } = this.#proxy;
    const place: Place = {
      connector: new Connector({ address, pins: [pin], ...login }),
      direct: new Connector({ address: this.#server.address, pins: [this.#server.server.pin], ...login }),
      top,
      local,
      state,
      transfer: { retry: AT_ONCE },
    };
    const serverTimers = this.#serverClock.pendingCount;
    await errand.prepare?.(place);
    return { place, clock, serverTimers, connections: this.#proxy.connections };
  }

  // Until somebody comes again time passes quickly: there is nothing that could be overtaken.
  async #passSilence({ clock, connections }: Trial, running: Promise<unknown>): Promise<void> {
    const known = Math.max(connections + 1, this.#proxy.connections);
    await passSeconds(clock, running, () => this.#proxy.connections === known);
  }

  /** Ends the client, and waits until nothing of it is left. */
  async #leave({ place, clock, serverTimers }: Trial, kind?: CutPoint['kind']): Promise<void> {
    const closing = [place.connector[Symbol.asyncDispose](), place.direct[Symbol.asyncDispose]()];
    await passSeconds(clock, Promise.all(closing), () => false);
    const { server } = this.#server;
    // Who has heard of no end needs time to find out: Node may say nothing of a reset in the wake of a handshake. Once so
    // much has passed it can only be what it is doing on the disk that keeps it, and its time begins behind that.
    const needsTime = kind === 'silence' || kind === 'rst';
    let passedMs = 0;
    await turnUntil(
      () => server.connectionCount === 0,
      'the server keeps a connection',
      (turn) => {
        if (!needsTime || turn <= SETTLING_TURNS) return;
        if (turn % (passedMs <= MAX_SILENCE_MS ? 3 : SETTLING_TURNS) !== 0) return;
        this.#serverClock.advance(SECOND_MS);
        passedMs += SECOND_MS;
      },
    );
    // Fewer while the server looks whether its files have changed. A socket closes a moment after its end is known.
    const isQuiet = () => clock.pendingCount === 0 && this.#serverClock.pendingCount <= serverTimers;
    await turnUntil(isQuiet, 'a timer is left');
    expect(server.openUploadCount, 'open uploads').toBe(0);
  }

  /** Throws unless what stands is that, and nothing temporary is left. */
  async #assertStands({ place }: Trial, ...wanted: Errand['after'][]): Promise<void> {
    const { root } = this.#server;
    const remote = await contentsAt(join(root, place.top));
    const local = await contentsAt(place.local);
    const allowed = await Promise.all(
      wanted.map(async (sides) => ({
        remote: await this.#contents(sides.remote),
        local: await this.#contents(sides.local),
      })),
    );
    if (allowed.length === 1) expect({ remote, local }).toEqual(allowed[0]);
    else expect(allowed).toContainEqual({ remote, local });
    for (const directory of ['uploads', 'removed'])
      expect(await readdir(join(root, '.sealift', directory)), directory).toEqual([]);
    expect(openFilesIn(root, place.local)).toEqual([]);
    await rm(join(root, place.top), { recursive: true });
  }

  /** How `contentsAt` shows a tree. */
  async #contents(tree: Tree): Promise<Record<string, string>> {
    let contents = this.#shown.get(tree);
    if (contents === undefined) {
      contents = await contentsAt(await plantTree(join(this.#scratch, `shown-${this.#shown.size}`), tree));
      this.#shown.set(tree, contents);
    }
    return contents;
  }
}

interface Trial {
  place: Place;
  /** Of the client. */
  clock: FakeClock;
  /** Timers of the server while nobody is there. */
  serverTimers: number;
  /** Of the proxy, before. */
  connections: number;
}

/** Lets seconds pass until `task` is over: one each turn of the loop while it `isQuick`, else few, so that none overtakes real work. */
async function passSeconds(clock: FakeClock, task: Promise<unknown>, isQuick: () => boolean): Promise<void> {
  await turnUntilSettled(task, 'the client does not come to an end', (turn) => {
    if (isQuick() || turn % SETTLING_TURNS === 0) clock.advance(SECOND_MS);
  });
}

/** Files of uploads and downloads below these directories that this process has open, where the system tells. */
function openFilesIn(...directories: string[]): string[] {
  const handles = '/proc/self/fd';
  if (!existsSync(handles)) return [];
  const files = readdirSync(handles).flatMap((handle) => {
    // The handle by which it was listed is closed by now.
    const file = `${handles}/${handle}`;
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true ? [readlinkSync(file)] : [];
  });
  return files.filter((file) => directories.some((directory) => file.startsWith(`${directory}/`)));
}

/** What a task failed with; undefined if it did not. */
function outcomeOf(task: Promise<void>): Promise<Error | undefined> {
  return task.then(
    () => undefined,
    (failure: Error) => failure,
  );
}
