import type { Work } from '../work.ts';
import { cold } from './cold.ts';
import { compression } from './compression.ts';
import { connections } from './connections.ts';
import { delta } from './delta.ts';
import { distance } from './distance.ts';
import { large } from './large.ts';
import { manyClients } from './many-clients.ts';
import { medium } from './medium.ts';
import { replaced } from './replaced.ts';
import { resume } from './resume.ts';
import { small } from './small.ts';
import { streams } from './streams.ts';
import { unchanged } from './unchanged.ts';

export const WORKS: readonly Work[] = [
  large,
  small,
  medium,
  replaced,
  cold,
  manyClients,
  connections,
  resume,
  delta,
  unchanged,
  streams,
  distance,
  compression,
];
