import type { RequestLog } from './log.js';

/** Upper bounds of the latency histogram, in seconds. */
const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Series {
  readonly labels: string;
  count: number;
  seconds: number;
  bytesIn: number;
  bytesOut: number;
  readonly buckets: number[];
}

/** Counts of requests, in the text format of Prometheus. */
export class Metrics {
  readonly #series = new Map<string, Series>();

  /** Counts one request. `route` is the pattern, not the path: its values are few. */
  count({ surface, code, bytes_in, bytes_out, duration_ms }: RequestLog, route: string): void {
    const labels = `surface="${surface}",route="${route}",code="${code}"`;
    let series = this.#series.get(labels);
    if (series === undefined) {
      const buckets = BUCKETS_S.map(() => 0);
      series = { labels, count: 0, seconds: 0, bytesIn: 0, bytesOut: 0, buckets };
      this.#series.set(labels, series);
    }
    const seconds = duration_ms / 1000;
    series.count += 1;
    series.seconds += seconds;
    series.bytesIn += bytes_in;
    series.bytesOut += bytes_out;
    const first = BUCKETS_S.findIndex((bound) => seconds <= bound);
    if (first >= 0) series.buckets[first] = (series.buckets[first] ?? 0) + 1;
  }

  /** All counts, and the values of gauges. */
  text(gauges: Readonly<Record<string, { help: string; value: number }>>): string {
    const lines: string[] = [];
    const family = (name: string, type: string, help: string, rows: string[]) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...rows);
    };
    const all = [...this.#series.values()];
    family(
      'volley_request_duration_seconds',
      'histogram',
      'Time from the first byte of a request to the last of its reply.',
      all.flatMap(histogram),
    );
    const counter = (name: string, help: string, of: (series: Series) => number) =>
      family(
        name,
        'counter',
        help,
        all.map((one) => `${name}{${one.labels}} ${of(one)}`),
      );
    counter('volley_request_bytes_total', 'Bytes of request bodies.', ({ bytesIn }) => bytesIn);
    counter('volley_reply_bytes_total', 'Bytes of reply bodies.', ({ bytesOut }) => bytesOut);
    for (const [name, { help, value }] of Object.entries(gauges)) {
      family(name, 'gauge', help, [`${name} ${value}`]);
    }
    return `${lines.join('\n')}\n`;
  }
}

function histogram({ labels, count, seconds, buckets }: Series): string[] {
  const name = 'volley_request_duration_seconds';
  let sum = 0;
  const rows = BUCKETS_S.map((bound, index) => {
    sum += buckets[index] ?? 0;
    return `${name}_bucket{${labels},le="${bound}"} ${sum}`;
  });
  return [
    ...rows,
    `${name}_bucket{${labels},le="+Inf"} ${count}`,
    `${name}_sum{${labels}} ${seconds}`,
    `${name}_count{${labels}} ${count}`,
  ];
}
