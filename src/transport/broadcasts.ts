import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

import type { Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { FIRST_CLIENT_PORT } from './datagrams.ts';
import { isNeighbour, type LocalNetwork } from './local-networks.ts';

/** Answers in a second, to whomever: neighbours who look for servers are few. */
const MAX_ANSWERS = 20;
const SECOND_MS = 1_000;

/**
 * Answers datagrams that neighbours send to a UDP port, most of all by broadcast, until it is closed. No answer is
 * longer than its question, and there are few in a second: nobody can have a third one flooded. Throws
 * `bad-configuration` if the port cannot be had.
 */
export async function answerBroadcasts(
  answer: (question: Buffer) => Buffer | undefined,
  { port, networks, clock }: { port: number; networks: readonly LocalNetwork[]; clock: Clock },
): Promise<{ close(): Promise<void> }> {
  const socket = await opened(port);
  let left = MAX_ANSWERS;
  let cancel: (() => void) | undefined;
  socket.on('message', (question, { address, port: from }) => {
    if (left === 0 || !networks.some((network) => isNeighbour(address, network))) return;
    // No client asks from there; and port 0, which a forged datagram may come from, cannot be sent to at all.
    if (from < FIRST_CLIENT_PORT) return;
    const bytes = answer(question);
    if (bytes === undefined || bytes.length > question.length) return;
    left -= 1;
    cancel ??= clock.schedule(SECOND_MS, () => {
      left = MAX_ANSWERS;
      cancel = undefined;
    });
    socket.send(bytes, from, address, ignoreLoss);
  });
  return {
    close: () => {
      cancel?.();
      return closed(socket);
    },
  };
}

/** Sends `question` to everybody in `networks`, twice, since datagrams get lost; each answer is told until it is closed. Throws `bad-configuration`. */
export async function askByBroadcast(
  question: Buffer,
  onAnswer: (answer: Buffer, from: RemoteInfo) => void,
  { port, networks, clock }: { port: number; networks: readonly LocalNetwork[]; clock: Clock },
): Promise<{ close(): Promise<void> }> {
  const socket = await opened(0);
  socket.setBroadcast(true);
  socket.on('message', onAnswer);
  const ask = () => {
    for (const { broadcast } of networks) socket.send(question, port, broadcast, ignoreLoss);
  };
  ask();
  const cancel = clock.schedule(SECOND_MS / 2, ask);
  return {
    close: () => {
      cancel();
      return closed(socket);
    },
  };
}

async function opened(port: number): Promise<Socket> {
  // Several servers of one machine share the port, and each hears every broadcast.
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    socket.bind(port);
    await once(socket, 'listening');
  } catch (cause) {
    socket.close();
    const message = `The UDP port ${port} cannot be had (${systemCode(cause) ?? String(cause)}).`;
    throw new SealiftError('bad-configuration', message, { cause });
  }
  return socket.on('error', () => undefined);
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

function ignoreLoss(): void {
  // A datagram may always be lost; whoever asks asks twice.
}
