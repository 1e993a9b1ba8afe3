import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { specText } from './spec.ts';

const headings = [...specText().matchAll(/^#+ (.+)$/gm)].map((match) => match[1] as string);

test('every link inside SPEC.md leads to a section', () => {
  const anchors = headings.map((heading) => heading.toLowerCase().replaceAll(' ', '-').replaceAll(',', ''));
  const links = [...specText().matchAll(/\]\(#([^)]+)\)/g)].map((match) => match[1] as string);
  expect(links.length).toBeGreaterThan(0);
  expect(links.filter((link) => !anchors.includes(link))).toEqual([]);
});

test('every mention of a section of SPEC.md in the code is of one that is there', () => {
  const mentioned = globSync('src/**/*.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/SPEC\.md,? \(?"([^"]+)"/g)].map((match) => match[1] as string),
  );
  expect(mentioned).toContain('Errors');
  expect(mentioned.filter((heading) => !headings.includes(heading))).toEqual([]);
});
