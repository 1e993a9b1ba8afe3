import type { Random } from '../../src/random.ts';
import { CUT_KINDS, type CutKind, type Fate, type Frame, type Way } from './message-proxy.ts';

const PLACES = ['before it', 'in its length', 'in its header', 'in its content', 'after it'] as const;

/** Where a connection is cut, how, and in which message: the how many-th of its direction, from 0. */
export interface CutPoint {
  way: Way;
  message: number;
  place: (typeof PLACES)[number];
  kind: CutKind;
}

/** Every place at which an exchange of these messages can be cut, in every way. */
export function cutPointsOf(frames: readonly Frame[]): CutPoint[] {
  return (['up', 'down'] as const).flatMap((way) =>
    frames
      .filter((frame) => frame.way === way)
      .flatMap((frame, message) =>
        PLACES.filter((place) => isDistinct(place, frame, message)).flatMap((place) =>
          CUT_KINDS.map((kind) => ({ way, message, place, kind })),
        ),
      ),
  );
}

/** `count` of these at random, or all of them. */
export function someOf<T>(items: readonly T[], count: number, random: Random): T[] {
  return items
    .map((item) => ({ item, rank: random.fraction() }))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, count)
    .map(({ item }) => item);
}

/** Decides as a proxy does: cuts once, at `point`, and calls `onCut` then. */
export function cuttingAt(point: CutPoint, onCut: () => void): (frame: Frame) => Fate {
  let seen = 0;
  return (frame) => {
    const isMeant = frame.way === point.way && seen === point.message;
    if (frame.way === point.way) seen += 1;
    if (!isMeant) return { forward: frame.bytes };
    onCut();
    return { forward: frame.bytes.subarray(0, lengthBefore(point.place, frame)), cut: point.kind };
  };
}

// What is before a message is behind the one before it.
function isDistinct(place: CutPoint['place'], { bytes, contentStart }: Frame, message: number): boolean {
  if (place === 'before it') return message === 0;
  return place !== 'in its content' || bytes.length > contentStart + 1;
}

function lengthBefore(place: CutPoint['place'], { bytes, contentStart }: Frame): number {
  switch (place) {
    case 'before it':
      return 0;
    case 'in its length':
      return 1;
    case 'in its header':
      return Math.floor(contentStart / 2);
    case 'in its content':
      return Math.floor((contentStart + bytes.length) / 2);
    case 'after it':
      return bytes.length;
  }
}
