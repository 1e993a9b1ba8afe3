// The ratios as a picture: SVG, written by hand.
import type { Result } from './results.ts';

/** Longer bars end here; the number beside them says how far they would go. */
const MOST = 5;
const LABEL_WIDTH = 250;
const COLUMN_WIDTH = 330;
const SCALE = (COLUMN_WIDTH - 80) / MOST;
const BAR_HEIGHT = 13;
const ROW_HEIGHT = 18;
const HEAD_HEIGHT = 58;
const FOOT_LINE = 16;
/** About how wide a character of the smaller text is. */
const FOOT_CHARACTER = 6;

/** What stands above and below the bars. */
export interface ChartText {
  title: string;
  /** The machine and the versions. */
  foot: string;
}

/**
 * Horizontal bars, a group for each work and a column for each place: how many times as fast as each of the other
 * programs Sealift is. It brings a ground of its own, and turns dark with the reader's screen.
 */
export function chart(results: readonly Result[], { title, foot }: ChartText): string {
  const compared = results.filter(
    ({ program, ratio }) => ratio !== undefined && !program.startsWith('sealift'),
  );
  const places = [...new Set(compared.map(({ place }) => place))];
  const width = LABEL_WIDTH + Math.max(1, places.length) * COLUMN_WIDTH;
  const body: string[] = [];
  let y = HEAD_HEIGHT;
  for (const [what, rows] of Map.groupBy(compared, (result) => result.what)) {
    body.push(text(16, y + ROW_HEIGHT, what, 'group'));
    y += ROW_HEIGHT + 7;
    for (const [program, bars] of Map.groupBy(rows, (result) => result.program)) {
      body.push(text(LABEL_WIDTH - 8, y + BAR_HEIGHT - 2, program, 'program'));
      body.push(...bars.map(({ place, ratio = 0 }) => bar(columnX(places.indexOf(place)), y, ratio)));
      y += ROW_HEIGHT;
    }
  }
  const columns = places.map((place, index) => column(columnX(index), y, place));
  const lines = wrapped(foot, (width - 32) / FOOT_CHARACTER);
  const footLines = lines.map((line, index) => text(16, y + 26 + index * FOOT_LINE, line, 'foot'));
  const height = y + 26 + lines.length * FOOT_LINE;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}</style>
<rect class="ground" width="${width}" height="${height}" rx="8"/>
${[text(16, 28, title, 'title'), ...columns, ...body, ...footLines].join('\n')}
</svg>
`;
}

const STYLE = `
text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 16px; font-weight: 600 } .group { font-weight: 600 } .program { text-anchor: end }
.foot { font-size: 11px; fill: #59636e } .ground { fill: #ffffff; stroke: #d1d9e0 }
.faster { fill: #1a7f5a } .slower { fill: #bc4c00 } .one { stroke: #59636e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .foot { fill: #9198a1 } .ground { fill: #0d1117; stroke: #3d444d }
.faster { fill: #3fb68b } .slower { fill: #f0883e } .one { stroke: #9198a1 }
}`;

function columnX(index: number): number {
  return LABEL_WIDTH + index * COLUMN_WIDTH;
}

function bar(x: number, y: number, ratio: number): string {
  const length = Math.round(Math.min(ratio, MOST) * SCALE);
  const number = `${ratio.toFixed(ratio < 9.95 ? 2 : 0)}×${ratio > MOST ? ' →' : ''}`;
  return [
    `<rect class="${ratio >= 1 ? 'faster' : 'slower'}" x="${x}" y="${y}" width="${length}" height="${BAR_HEIGHT}" rx="2"/>`,
    text(x + length + 6, y + BAR_HEIGHT - 2, number),
  ].join('\n');
}

/** What a column is about, and the line where both are as fast. */
function column(x: number, bottom: number, place: string): string {
  const one = x + SCALE;
  return [
    text(x, HEAD_HEIGHT - 6, `${place} (dashed: as fast)`, 'group'),
    `<line class="one" x1="${one}" x2="${one}" y1="${HEAD_HEIGHT}" y2="${bottom}"/>`,
  ].join('\n');
}

function text(x: number, y: number, content: string, kind?: string): string {
  return `<text${kind === undefined ? '' : ` class="${kind}"`} x="${x}" y="${y}">${escaped(content)}</text>`;
}

/** Lines of at most so many characters, broken between words. */
function wrapped(content: string, characters: number): string[] {
  const lines: string[] = [];
  for (const word of content.split(' ')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length >= characters) lines.push(word);
    else lines.splice(-1, 1, `${line} ${word}`);
  }
  return lines;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
