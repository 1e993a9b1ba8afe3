import { nextTurn } from '../../../src/clock.ts';
import { isErrorCode } from '../../../src/errors.ts';
import type { Message } from '../../../src/protocol/decoder.ts';
import { isWireErrorCode } from '../../../src/protocol/wire-errors.ts';
import type { Random } from '../../../src/random.ts';
import {
  blockDigest,
  DIGEST_ALGORITHMS,
  fileDigest,
  formatBlockDigest,
} from '../../../src/transfer/digests.ts';
import type { Standing } from '../planted-tree.ts';
import { RawClient } from '../raw-client.ts';
import { blocksOf } from '../raw-files.ts';
import { between, pick } from '../seeded.ts';
import { tokenOf } from '../test-server.ts';
import { ANY_UPLOAD, recordedSessions, TOP } from './corpus.ts';
import { FuzzedServer, PLANTED, SECRETS, USERS } from './fuzzed-server.ts';
import { chance, mutated, oddRequest, type Parcel } from './mutations.ts';
import type { Script, Target } from './target.ts';

/** Bytes that are sent, in pieces of so many at most. */
interface Piece {
  bytes: Buffer;
  pieceBytes: number;
}

interface Session extends Script<Piece> {
  /** Who logs in before; `nobody` does not. */
  user: keyof typeof USERS | 'nobody';
  end: 'end' | 'destroy';
}

const UPLOAD_BYTES = 2 * 1_048_576 + 5;

let corpus: Promise<Parcel[][]> | undefined;

/** A server to which sessions are sent of which something is wrong. */
export async function startMessageTarget(): Promise<Target<Session>> {
  const sessions = await (corpus ??= recordedSessions());
  const fuzzed = await FuzzedServer.start();
  return {
    invent: (random) => inventSession(sessions, random),
    perform: (session) => new Round(fuzzed, session).perform(),
    describe: describeSession,
    [Symbol.asyncDispose]: () => fuzzed[Symbol.asyncDispose](),
  };
}

function inventSession(sessions: readonly Parcel[][], random: Random): Session {
  const session = pick(random, sessions);
  const others = sessions.flat();
  const from = between(random, 0, session.length - 1);
  const chosen = chance(random, 0.4)
    ? session.slice(from, from + between(random, 1, 8))
    : Array.from({ length: between(random, 1, 12) }, () =>
        chance(random, 0.2) ? pick(random, others) : oddRequest(random),
      );
  if (chance(random, 0.2)) chosen.push(...chosen.slice(0, 2));
  if (chance(random, 0.2)) chosen.reverse();
  return {
    user: pick(random, [...(Object.keys(USERS) as (keyof typeof USERS)[]), 'nobody']),
    end: pick(random, ['end', 'end', 'destroy']),
    // The first ids are those of the login.
    steps: chosen.map(({ header, content }, index) => ({
      bytes: mutated({ header: { ...header, id: index + 10 }, content }, others, random),
      pieceBytes: chance(random, 0.1) ? between(random, 1, 2_000) : Infinity,
    })),
  };
}

function describeSession({ user, end, steps }: Session): string[] {
  const shown = steps.map(({ bytes, pieceBytes }) => {
    const text = JSON.stringify(bytes.toString('latin1', 0, 700));
    return `  ${bytes.length} bytes in pieces of ${pieceBytes}: ${text}`;
  });
  return [`  as ${user}, then ${end}`, ...shown];
}

/** One session with the server, and everything that has to hold afterwards. */
class Round {
  readonly #fuzzed: FuzzedServer;
  readonly #session: Session;
  #upload = ANY_UPLOAD;
  readonly #sent: Buffer[] = [];

  constructor(fuzzed: FuzzedServer, session: Session) {
    this.#fuzzed = fuzzed;
    this.#session = session;
  }

  async perform(): Promise<void> {
    await this.#fuzzed.plant();
    const before = await this.#fuzzed.standing();
    const client = await RawClient.connect({ address: this.#fuzzed.server.address });
    const sent = this.#login(client).then(() => this.#send(client));
    await this.#fuzzed.passUntil(sent, 'the session is not taken');
    await this.#fuzzed.assertServes();
    await this.#fuzzed.passUntil(client.closed, 'the connection is not closed');
    await this.#fuzzed.assertLeft();
    this.#assertAnswers(client.messages);
    const after = await this.#fuzzed.standing();
    if (JSON.stringify(after.outside) !== JSON.stringify(before.outside))
      throw new Error('something changed outside of the root');
    for (const path of new Set([...before.root.keys(), ...after.root.keys()]))
      await this.#assertPath(path, before.root.get(path), after.root.get(path));
  }

  async #login(client: RawClient): Promise<void> {
    const { user } = this.#session;
    if (user === 'nobody') return;
    await client.hello({ token: tokenOf(user), id: 1 });
    // The answer to the hello has the id 1 by itself.
    const begun = await client.ask('put', { path: `${TOP}/upload`, size: UPLOAD_BYTES });
    const { upload } = begun.header;
    if (typeof upload === 'string') this.#upload = upload;
  }

  async #send(client: RawClient): Promise<void> {
    for (const { bytes: scripted, pieceBytes } of this.#session.steps) {
      const bytes = withUpload(scripted, this.#upload);
      this.#sent.push(bytes);
      for (let start = 0; start < bytes.length; start += pieceBytes) {
        if (client.hasEnded || client.socket.destroyed) break;
        client.write(bytes.subarray(start, start + pieceBytes));
        if (pieceBytes < bytes.length) await nextTurn();
      }
    }
    if (this.#session.end === 'end') return client.end();
    // What is not sent yet would be lost.
    await nextTurn();
    client.socket.destroy();
  }

  #assertAnswers(messages: readonly Message[]): void {
    for (const { header, content } of messages) {
      const { status, code, message, retryable } = header;
      const told = JSON.stringify(header) + content.toString('latin1');
      for (const secret of this.#secrets()) if (told.includes(secret)) throw new Error(`${secret} was told`);
      if (told.includes(this.#fuzzed.root)) throw new Error(`a path of the server was told: ${told}`);
      if (status !== 'error') continue;
      const isSound = isErrorCode(code) && isWireErrorCode(code) && code !== 'internal';
      if (!isSound || typeof message !== 'string' || message === '' || typeof retryable !== 'boolean')
        throw new Error(`an error was told so: ${JSON.stringify(header)}`);
    }
  }

  /** What this user may not be told. */
  #secrets(): string[] {
    const { outside, theirs, mine } = SECRETS;
    switch (this.#session.user) {
      case 'all':
      case 'reader':
        return [outside];
      case 'tenant':
        return [outside, theirs];
      case 'writer':
      case 'nobody':
        return [outside, theirs, mine];
    }
  }

  async #assertPath(path: string, before: Standing | undefined, after: Standing | undefined): Promise<void> {
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    if (!this.#mayChange(path, before, after)) throw new Error(`${path} changed, by whom may not change it`);
    if (after?.type !== 'file' || after.content === before?.content) return;
    // A file that was moved, or written whole: somebody said what it was to be.
    const content = await this.#fuzzed.content(path);
    const isPlanted = PLANTED.includes(content.toString());
    const said = Buffer.concat(this.#sent).toString('latin1');
    if (!isPlanted && !digestsOf(content).some((digest) => said.includes(digest)))
      throw new Error(`${path} holds ${content.length} bytes of which nobody told the digest`);
  }

  #mayChange(path: string, before: Standing | undefined, after: Standing | undefined): boolean {
    switch (this.#session.user) {
      case 'all':
        return true;
      case 'tenant':
        return path === TOP || path.startsWith(`${TOP}/`);
      case 'writer':
        // Names may come, and directories get another time by it.
        return before === undefined || (before.type === 'directory' && after?.mode === before.mode);
      case 'reader':
      case 'nobody':
        return false;
    }
  }
}

function withUpload(bytes: Buffer, upload: string): Buffer {
  const place = bytes.indexOf(ANY_UPLOAD);
  if (place < 0) return bytes;
  const changed = Buffer.from(bytes);
  changed.write(upload, place);
  return changed;
}

/** Every digest that a peer could have told for a file. */
function digestsOf(content: Buffer): string[] {
  const blocks = blocksOf(content);
  return DIGEST_ALGORITHMS.flatMap((algorithm) => {
    const raw = blocks.map((block) => blockDigest(algorithm, Buffer.from(block)));
    const whole = blocks.length > 1 ? [] : [formatBlockDigest(algorithm, blockDigest(algorithm, content))];
    return [fileDigest(algorithm, raw), ...whole];
  });
}
