import { createHash } from 'node:crypto';

/** Under what the store keeps an upload: before the `-` whom it belongs to, behind it what it resumes. */
export function uploadKey(owner: string, path: string, resumeKey: string): string {
  return `${hashed(owner).slice(0, OWNER_CHARACTERS)}-${hashed(`${path}\0${resumeKey}`).slice(0, 40)}`;
}

/** Whether the upload with this key is one of `owner`. */
export function belongsTo(key: string, owner: string): boolean {
  return key.startsWith(`${hashed(owner).slice(0, OWNER_CHARACTERS)}-`);
}

/** Under what the store remembers what an upload has published, with the owner in the same place. */
export function publicationId({ owner, id }: { owner: string; id: string }): string {
  return `${hashed(owner).slice(0, OWNER_CHARACTERS)}-${id}`;
}

const OWNER_CHARACTERS = 16;

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
