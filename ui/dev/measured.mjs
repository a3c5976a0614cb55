// TEST ONLY. What was measured of the made-up cluster: the same numbers for the same moment.
const RANGES = { '1h': { step: 10, n: 360 }, '24h': { step: 60, n: 1440 } };

/** A number between 0 and 1 that a seed and a step always give. */
function noise(seed, step) {
  let hash = 2166136261 ^ seed ^ Math.imul(step, 0x9e3779b1);
  for (let i = 0; i < 3; i++) hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

const seedOf = (id) => [...id].reduce((hash, c) => Math.imul(hash ^ c.charCodeAt(0), 16777619), 2166136261);
const digits = (n) => Number(n.toPrecision(4));

/** A daily wave with a little unrest, around 1. */
function wave(seed, at) {
  const minutes = at / 60;
  return 1 + 0.35 * Math.sin(minutes / 17 + (seed % 7)) + 0.15 * Math.sin(minutes / 3.1) + 0.2 * (noise(seed, at) - 0.5);
}

function seriesOf(app, from, step, n) {
  const seed = seedOf(app.id);
  const size = app.tasks.filter((t) => !t.ended).length;
  const each = (f) => Array.from({ length: n }, (_, i) => f(from + i * step, i));
  // The service is younger than the range, and nobody measured for a while.
  const isGap = (i) => i < n / 12 || (i > n * 0.62 && i < n * 0.65);
  const gaps = (f) => each((at, i) => (isGap(i) ? null : digits(f(at))));
  const leak = (at) => 0.4 + 0.45 * (((at / 60 + Math.abs(seed % 40)) % 40) / 40);
  const oom = app.id.length % 3 === 0 ? each((_, i) => (i % Math.round(n / 3) === Math.round(n / 5) ? 1 : 0)) : undefined;
  const list = [
    ['cpus_reserved', 'cpus', gaps(() => app.spec.cpus * size)],
    ['cpus_used', 'cpus', gaps((at) => app.spec.cpus * size * 0.4 * wave(seed, at))],
    ['mem_limit', 'MiB', gaps(() => app.spec.mem * size)],
    ['mem_used', 'MiB', gaps((at) => app.spec.mem * size * leak(at))],
    ['running', 'count', gaps(() => size)],
  ];
  if (oom) list.push(['oom_kills', 'count', oom], ['restarts', 'count', oom.map((n, i) => n + (i % 97 === 3 ? 2 : 0))]);
  if (app.service) {
    list.push(
      ['requests', '1/s', gaps((at) => 120 * wave(seed, at))],
      ['errors', '1/s', gaps((at) => (noise(seed, at) > 0.97 ? 4 : 0))],
      ['latency_p50', 'ms', gaps((at) => 7 * wave(seed + 1, at))],
      ['latency_p99', 'ms', gaps((at) => 60 * wave(seed + 2, at) ** 3)],
    );
  }
  return size === 0 ? [] : list.map(([name, unit, values]) => ({ name, unit, values }));
}

function spark({ name, unit, values }) {
  const part = Math.floor(values.length / 30);
  const means = Array.from({ length: 30 }, (_, i) => values.slice(i * part, (i + 1) * part).filter((v) => v !== null))
    .map((some) => (some.length ? some.reduce((a, b) => a + b, 0) / some.length : null));
  const max = Math.max(0, ...means.filter((v) => v !== null));
  return { name, unit, last: values.findLast((v) => v !== null), max: digits(max), points: means.map((v) => (v === null ? null : Math.floor((v * 100) / (max || 1)))) };
}

/** The cluster: what its services use together, above what its machines take for themselves. */
function together(all) {
  const sums = new Map();
  const sum = (name, unit, values) => {
    const known = sums.get(name)?.values ?? values.map(() => null);
    sums.set(name, { name, unit, values: known.map((n, i) => (values[i] === null ? n : digits((n ?? 0) + values[i]))) });
  };
  for (const series of all) for (const { name, unit, values } of series) if (!/limit|oom|latency/.test(name)) sum(name, unit, values);
  return [...sums.values()];
}

const totalOf = (world) => {
  const nodes = [...world.nodes.values()];
  const add = (key) => nodes.reduce((n, { total }) => n + total[key], 0);
  return { cpus: add('cpus'), mem_mb: add('mem_mb'), disk_mb: add('disk_mb') };
};

/** The answer to `GET /tepui/v1/metrics?of=…`. */
export function measured(world, query) {
  const range = query.get('range') ?? '1h';
  const of = query.get('of') ?? '';
  const { step, n } = RANGES[range];
  const end = Math.floor(Date.now() / 1000 / step) * step;
  const since = query.get('since') ? Math.floor(Date.parse(query.get('since')) / 1000 / step) * step : 0;
  const from = Math.max(end - (n - 1) * step, Math.min(since, end));
  const skip = (from - (end - (n - 1) * step)) / step;
  const start = new Date(from * 1000).toISOString();
  const full = (app) => seriesOf(app, end - (n - 1) * step, step, n);
  if (of === 'services') {
    const named = query.getAll('series');
    const shown = named.length > 0 ? named : ['cpus_used', 'mem_used', 'requests'];
    const rows = [...world.apps.values()].map((app) => ({ id: app.id, series: full(app).filter(({ name }) => shown.includes(name)).map(spark) })).filter(({ series }) => named.length === 0 || series.length > 0);
    return { of, range, start, step_s: step * 12, rows: rows.slice(0, 500), truncated: rows.length > 500 };
  }
  if (of === 'cluster') {
    const some = [...world.apps.values()].slice(0, 60).map(full);
    return { of, range, start, step_s: step, series: together(some).map((one) => ({ ...one, values: one.values.slice(skip) })), total: totalOf(world) };
  }
  const app = world.apps.get(of.replace(/^service:/, ''));
  const series = (app ? full(app) : []).map((one) => ({ ...one, values: one.values.slice(skip) }));
  const marks = [0.3, 0.78].map((part) => ({ at: new Date((end - (1 - part) * n * step) * 1000).toISOString(), kind: 'version' })).filter(({ at }) => at >= start);
  return { of, range, start, step_s: step, series, marks };
}
