import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import { commit, digestOf, putInline, sendBlock } from '../support/raw-upload.ts';
import { blockOf, contentOf, FILES, keyOf, type Act } from './acts.ts';
import type { Model } from './model.ts';

/** Asks for what an act says, of the uploads and with the etags that the model knows. */
export function request(client: RawClient, act: Act, model: Model): Promise<RawAnswer> {
  const conditionOf = (path: string, condition: Parameters<Model['conditionOf']>[1]) =>
    model.conditionOf(path, condition);
  switch (act.type) {
    case 'put': {
      const { path, mode, durability } = act;
      const fields = { ...conditionOf(path, act.condition), durability, ...(mode && { mode }) };
      return putInline(client, path, FILES.small[act.content] as Buffer, fields);
    }
    case 'begin': {
      const { path, base, key } = act;
      const size = act.isSizeKnown ? FILES[act.length][0].length : null;
      const resume = key === undefined ? {} : { 'resume-key': keyOf(act) };
      return client.ask('put', { path, size, base, ...conditionOf(path, act.condition), ...resume });
    }
    case 'block': {
      const upload = model.named(act);
      if (upload === undefined) return client.ask('abort', { upload: 'none' });
      const content = blockOf(upload, act);
      const digest = digestOf(act.isRight ? content : Buffer.from('other'));
      return sendBlock(client, upload.id, act.index, content, { digest });
    }
    case 'commit': {
      const upload = model.named(act);
      if (upload === undefined) return client.ask('abort', { upload: 'none' });
      return commit(client, upload.id, contentOf(upload, act));
    }
    case 'abort':
      return client.ask('abort', { upload: model.named(act)?.id ?? 'none' });
    case 'symlink': {
      const { path, condition } = act;
      return client.ask('symlink', { path, target: 'target', ...conditionOf(path, condition) });
    }
    case 'set':
      return client.ask('set', { path: act.path, 'mtime-ms': act.mtimeMs });
    case 'move': {
      const { path, to, condition } = act;
      return client.ask('move', { path, to, ...conditionOf(to, condition) });
    }
    case 'lock':
    case 'unlock': {
      const holder = act.holder === undefined ? {} : { holder: String(act.holder).padStart(32, '0') };
      const ttl = act.type === 'lock' ? { 'ttl-ms': act.ttlMs } : {};
      return client.ask(act.type, { name: act.name, ...holder, ...ttl });
    }
    default: {
      const { type, ...fields } = act;
      return client.ask(type, fields);
    }
  }
}
