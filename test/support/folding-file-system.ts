import { spawn } from 'node:child_process';
import { openSync, read, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/**
 * Serves a file system in memory at the path that is given, by FUSE (Linux, include/uapi/linux/fuse.h), until standard
 * input ends. It keeps names as they were first spelt, and finds them in any case. Before the path is said whether it is
 * to `keep` dots and spaces at the end of names, or to `drop` them.
 */

/** A file or a directory. */
interface Node {
  id: number;
  mode: number;
  /** In nanoseconds since 1970. */
  mtimeNs: bigint;
  ctimeNs: bigint;
  content: Buffer;
  /** Of a directory: what is in it, by folded name. */
  children: Map<string, { name: string; node: Node }> | undefined;
}

const [ends, path = ''] = process.argv.slice(2);
const DIRECTORY = 0o040000;
const FILE = 0o100000;
const MAX_WRITE = 131_072;
const ENOENT = 2;
const ENOTEMPTY = 39;
const EEXIST = 17;
const ENOTDIR = 20;
const ENOSYS = 38;
/** Bits of fuse_setattr_in.valid. */
const SETS = { mode: 1, size: 8, mtime: 32, mtimeNow: 256 };

const nodes = new Map<number, Node>();
const root = newNode(DIRECTORY | 0o755);

class Failure extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

type Handler = (nodeId: number, body: Buffer) => Buffer;
const NOTHING = Buffer.alloc(0);

/** What is not here is not known to it. */
const HANDLERS: Readonly<Record<number, Handler>> = {
  1: (id, body) => entry(childOf(id, text(body)).node), // LOOKUP
  3: (id) => attributes(node(id)), // GETATTR
  4: setAttributes,
  9: (id, body) => entry(add(id, text(body, 8), DIRECTORY | (body.readUInt32LE(0) & 0o7777))), // MKDIR
  10: (id, body) => remove(id, text(body)), // UNLINK
  11: (id, body) => remove(id, text(body)), // RMDIR
  12: (id, body) => rename(id, Number(body.readBigUInt64LE(0)), body.subarray(8)), // RENAME
  45: (id, body) => rename(id, Number(body.readBigUInt64LE(0)), body.subarray(16)), // RENAME2
  14: () => OPENED,
  15: (id, body) => part(node(id).content, body), // READ
  16: write,
  17: () => STATISTICS,
  18: () => NOTHING, // RELEASE
  20: () => NOTHING, // FSYNC
  25: () => NOTHING, // FLUSH
  26: init,
  27: () => OPENED, // OPENDIR
  28: (id, body) => part(listing(node(id)), body), // READDIR
  29: () => NOTHING, // RELEASEDIR
  30: () => NOTHING, // FSYNCDIR
  35: (id, body) =>
    Buffer.concat([entry(add(id, text(body, 16), FILE | (body.readUInt32LE(4) & 0o7777))), OPENED]), // CREATE
};
/** FORGET, INTERRUPT and BATCH_FORGET. */
const UNANSWERED: readonly number[] = [2, 36, 42];

const OPENED = Buffer.alloc(16);
const STATISTICS = words([1e6, 1e6, 1e6, 1e6, 1e6], [4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0]);

function init(_: number, body: Buffer): Buffer {
  // Version 7.31 of the protocol, and nothing that is optional.
  const answer = Buffer.alloc(64);
  answer.writeUInt32LE(7, 0);
  answer.writeUInt32LE(31, 4);
  answer.writeUInt32LE(body.readUInt32LE(8), 8);
  answer.writeUInt32LE(MAX_WRITE, 20);
  answer.writeUInt32LE(1, 24);
  return answer;
}

function setAttributes(id: number, body: Buffer): Buffer {
  const changed = node(id);
  const valid = body.readUInt32LE(0);
  const now = nowNs();
  if ((valid & SETS.mode) !== 0) changed.mode = (changed.mode & ~0o7777) | (body.readUInt32LE(68) & 0o7777);
  if ((valid & SETS.size) !== 0) resize(changed, Number(body.readBigUInt64LE(16)));
  if ((valid & SETS.mtimeNow) !== 0) changed.mtimeNs = now;
  else if ((valid & SETS.mtime) !== 0)
    changed.mtimeNs = body.readBigInt64LE(40) * 1_000_000_000n + BigInt(body.readUInt32LE(60));
  changed.ctimeNs = now;
  return attributes(changed);
}

function add(parentId: number, name: string, mode: number): Node {
  const children = childrenOf(parentId);
  if (children.has(folded(name))) throw new Failure(EEXIST);
  const added = newNode(mode);
  children.set(folded(name), { name: kept(name), node: added });
  touch(parentId);
  return added;
}

function remove(parentId: number, name: string): Buffer {
  const { node: removed } = childOf(parentId, name);
  if ((removed.children?.size ?? 0) > 0) throw new Failure(ENOTEMPTY);
  childrenOf(parentId).delete(folded(name));
  touch(parentId);
  return NOTHING;
}

function rename(fromId: number, toId: number, names: Buffer): Buffer {
  const from = text(names);
  const to = text(names, Buffer.byteLength(from) + 1);
  const { node: moved } = childOf(fromId, from);
  const existing = childrenOf(toId).get(folded(to));
  childrenOf(fromId).delete(folded(from));
  // The place in the directory of what is replaced is taken, with its name.
  const name = existing === undefined || existing.node === moved ? kept(to) : existing.name;
  childrenOf(toId).set(folded(to), { name, node: moved });
  touch(fromId);
  touch(toId);
  return NOTHING;
}

function write(id: number, body: Buffer): Buffer {
  const written = node(id);
  const [start, size] = [Number(body.readBigUInt64LE(8)), body.readUInt32LE(16)];
  if (start + size > written.content.length) resize(written, start + size);
  body.copy(written.content, start, 40, 40 + size);
  touch(id);
  return words([], [size, 0]);
}

function listing({ children }: Node): Buffer {
  let position = 0;
  const entries = [...(children ?? [])].map(
    ([
      ,
      {
        name,
        node: { id, mode },
      },
    ]) => {
      const bytes = Buffer.from(name);
      const padded = Buffer.alloc(Math.ceil(bytes.length / 8) * 8);
      bytes.copy(padded);
      position += 24 + padded.length;
      return Buffer.concat([words([id, position], [bytes.length, mode >> 12]), padded]);
    },
  );
  return Buffer.concat(entries);
}

/** What a READ or READDIR asks for; the offsets of a listing are those of its bytes, and it is cut between entries. */
function part(all: Buffer, body: Buffer): Buffer {
  const [start, size] = [Number(body.readBigUInt64LE(8)), body.readUInt32LE(16)];
  return all.subarray(start, start + size);
}

function entry(found: Node): Buffer {
  // Nothing may be remembered: another spelling may change it.
  return Buffer.concat([words([found.id, 0, 0, 0], [0, 0]), attributesOf(found)]);
}

function attributes(found: Node): Buffer {
  return Buffer.concat([words([0], [0, 0]), attributesOf(found)]);
}

function attributesOf({ id, mode, mtimeNs, ctimeNs, content }: Node): Buffer {
  const seconds = (ns: bigint) => Number(ns / 1_000_000_000n);
  const rest = (ns: bigint) => Number(ns % 1_000_000_000n);
  return words(
    [
      id,
      content.length,
      Math.ceil(content.length / 512),
      seconds(mtimeNs),
      seconds(mtimeNs),
      seconds(ctimeNs),
    ],
    [rest(mtimeNs), rest(mtimeNs), rest(ctimeNs), mode, 1, 0, 0, 0, 4096, 0],
  );
}

function childOf(parentId: number, name: string): { name: string; node: Node } {
  const found = childrenOf(parentId).get(folded(name));
  if (found === undefined) throw new Failure(ENOENT);
  return found;
}

function childrenOf(id: number): NonNullable<Node['children']> {
  const { children } = node(id);
  if (children === undefined) throw new Failure(ENOTDIR);
  return children;
}

function node(id: number): Node {
  const found = nodes.get(id);
  if (found === undefined) throw new Failure(ENOENT);
  return found;
}

function newNode(mode: number): Node {
  const [id, now] = [nodes.size + 1, nowNs()];
  const children: Node['children'] = (mode & DIRECTORY) !== 0 ? new Map() : undefined;
  const made = { id, mode, mtimeNs: now, ctimeNs: now, content: Buffer.alloc(0), children };
  nodes.set(id, made);
  return made;
}

function touch(id: number): void {
  const touched = node(id);
  touched.mtimeNs = touched.ctimeNs = nowNs();
}

function resize(changed: Node, size: number): void {
  const content = Buffer.alloc(size);
  changed.content.copy(content);
  changed.content = content;
}

function kept(name: string): string {
  return ends === 'keep' ? name : name.replace(/[. ]+$/, '');
}

function folded(name: string): string {
  return kept(name).toLowerCase();
}

function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/** The text that ends with a zero byte. */
function text(body: Buffer, start = 0): string {
  return body.toString('utf8', start, body.indexOf(0, start));
}

/** Numbers of 64 bits, and after them of 32. */
function words(longs: readonly number[], shorts: readonly number[]): Buffer {
  const made = Buffer.alloc(8 * longs.length + 4 * shorts.length);
  for (const [index, value] of longs.entries()) made.writeBigInt64LE(BigInt(value), 8 * index);
  for (const [index, value] of shorts.entries()) made.writeUInt32LE(value, 8 * longs.length + 4 * index);
  return made;
}

function answer(opcode: number, nodeId: number, body: Buffer): [errno: number, body: Buffer] {
  try {
    const handler = HANDLERS[opcode];
    return handler === undefined ? [ENOSYS, NOTHING] : [0, handler(nodeId, body)];
  } catch (error) {
    if (error instanceof Failure) return [error.errno, NOTHING];
    throw error;
  }
}

const device = openSync('/dev/fuse', 'r+');
const options = `fd=3,rootmode=${(root.mode & DIRECTORY).toString(8)},user_id=0,group_id=0,allow_other`;
const mounting = spawn('mount', ['-i', '-t', 'fuse', '-o', options, 'sealift', path], {
  stdio: ['ignore', 'inherit', 'inherit', device],
});
mounting.once('exit', (code) => {
  if (code === 0) void serve();
  else process.exit(1);
});
// A read of the device waits in a thread, which nothing else ends.
process.stdin.resume().once('end', () => process.kill(process.pid, 'SIGKILL'));

async function serve(): Promise<void> {
  process.stdout.write('mounted\n');
  const request = Buffer.alloc(MAX_WRITE + 65_536);
  for (;;) {
    const { bytesRead } = await promisify(read)(device, request, 0, request.length, null);
    const opcode = request.readUInt32LE(4);
    const [errno, body] = answer(
      opcode,
      Number(request.readBigUInt64LE(16)),
      request.subarray(40, bytesRead),
    );
    if (UNANSWERED.includes(opcode)) continue;
    const header = words([0, 0], []);
    header.writeUInt32LE(16 + body.length, 0);
    header.writeInt32LE(-errno, 4);
    request.copy(header, 8, 8, 16);
    writeSync(device, Buffer.concat([header, body]));
  }
}
