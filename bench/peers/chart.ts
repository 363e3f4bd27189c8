import { frontier, type Summary } from './compare.js';

const WIDTH = 860;
const HEIGHT = 480;
const PLOT = { left: 70, top: 50, right: 640, bottom: 420 };
const COLORS = [
  '#d62728',
  '#ff9896',
  '#1f77b4',
  '#17becf',
  '#9467bd',
  '#8c564b',
  '#2ca02c',
  '#e377c2',
  '#bcbd22',
  '#ff7f0e',
  '#7f7f7f',
];
const LEAST_RECALL = 0.8;

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function text(x: number, y: number, content: string, rest = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${rest}>${escaped(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, color: string): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="${color}"/>`;
}

function picture(height: number, title: string, content: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" \
viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" fill="#222">
<title>${escaped(title)}</title>
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${text(PLOT.left, 26, title, 'font-size="15" font-weight="bold"')}
${content.join('\n')}
</svg>
`;
}

/** Colors stay with the place in the list, so that both charts of a data set agree. */
function colorOf(place: number): string {
  return COLORS[place % COLORS.length] as string;
}

/** Recall against queries per second (logarithmic), one line per engine. */
export function searchChart(title: string, engines: readonly Summary[], threads: number): string {
  const series = engines.map(({ name, points }, place) => ({
    name,
    color: colorOf(place),
    points: frontier(
      points.filter((point) => point.threads === threads && point.recall >= LEAST_RECALL),
    ),
  }));
  const shown = series.filter(({ points }) => points.length > 0);
  const rates = shown.flatMap(({ points }) => points.map(({ rate }) => rate));
  const low = Math.floor(Math.log10(Math.min(...rates, 1e9)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...rates, 1))));
  const x = (recall: number) =>
    PLOT.left + ((recall - LEAST_RECALL) / (1 - LEAST_RECALL)) * (PLOT.right - PLOT.left);
  const y = (rate: number) =>
    PLOT.bottom - ((Math.log10(rate) - low) / (high - low)) * (PLOT.bottom - PLOT.top);
  if (shown.length === 0) {
    const nothing = `nothing of recall ${LEAST_RECALL} or more`;
    return picture(HEIGHT, title, [text(PLOT.left, PLOT.top + 20, nothing)]);
  }
  const content = [...axes(x, y, low, high)];
  shown.forEach(({ name, color, points }, place) => {
    const path = points.map(({ recall, rate }) => `${x(recall).toFixed(1)},${y(rate).toFixed(1)}`);
    content.push(
      `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`,
    );
    for (const spot of path) {
      const [cx, cy] = spot.split(',');
      content.push(`<circle cx="${cx}" cy="${cy}" r="3" fill="${color}"/>`);
    }
    const at = PLOT.top + 10 + place * 20;
    content.push(
      `<rect x="${PLOT.right + 20}" y="${at - 9}" width="12" height="12" fill="${color}"/>`,
    );
    content.push(text(PLOT.right + 38, at + 1, name));
  });
  return picture(HEIGHT, title, content);
}

function axes(
  x: (recall: number) => number,
  y: (rate: number) => number,
  low: number,
  high: number,
): string[] {
  const content: string[] = [];
  for (let step = 0; step <= 4; step++) {
    const recall = LEAST_RECALL + step * 0.05;
    content.push(line(x(recall), PLOT.top, x(recall), PLOT.bottom, '#e0e0e0'));
    content.push(text(x(recall), PLOT.bottom + 18, recall.toFixed(2), 'text-anchor="middle"'));
  }
  for (let power = low; power <= high; power++) {
    const label = new Intl.NumberFormat('en', { maximumFractionDigits: 3 }).format(10 ** power);
    content.push(line(PLOT.left, y(10 ** power), PLOT.right, y(10 ** power), '#e0e0e0'));
    content.push(text(PLOT.left - 8, y(10 ** power) + 4, label, 'text-anchor="end"'));
  }
  const middle = (PLOT.left + PLOT.right) / 2;
  content.push(text(middle, PLOT.bottom + 42, 'recall@10', 'text-anchor="middle"'));
  content.push(text(PLOT.left - 50, PLOT.top - 10, 'queries per second'));
  return content;
}

/** Vectors per second until all are searchable, one bar per engine. */
export function buildChart(title: string, engines: readonly Summary[]): string {
  const step = 28;
  const most = Math.max(...engines.map(({ buildRate }) => buildRate), 1);
  const left = PLOT.left + 70;
  const content = engines.flatMap(({ name, buildRate, complete }, place) => {
    const y = PLOT.top + place * step;
    const width = (buildRate / most) * (WIDTH - left - 170);
    const rate = new Intl.NumberFormat('en', { maximumFractionDigits: 0 }).format(buildRate);
    const label = `${rate}/s${complete ? '' : ' until stopped'}`;
    return [
      text(left - 8, y + 14, name, 'text-anchor="end"'),
      `<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="20" fill="${colorOf(place)}"/>`,
      text(left + width + 6, y + 14, label),
    ];
  });
  return picture(PLOT.top + engines.length * step + 20, title, content);
}
