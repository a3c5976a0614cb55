// From numbers over time to places on a plane. Pure.

export type Values = readonly (number | null)[];

/** The end of an axis: a round number that is not below `max`. Memory counts in powers of two. */
export function roundUp(max: number, binary = false): number {
  if (max <= 0) return 1;
  const base = binary ? 2 : 10;
  const unit = base ** Math.floor(Math.log(max) / Math.log(base));
  const steps = binary ? [1, 1.5, 2] : [1, 2, 2.5, 5, 10];
  return unit * (steps.find((step) => unit * step >= max * 0.999_999) ?? base);
}

export function greatest(...lines: Values[]): number {
  let max = 0;
  for (const values of lines) for (const value of values) if (value !== null && value > max) max = value;
  return max;
}

/** Where step `index` of `n` lies: the newest at the right edge. */
export function across(index: number, n: number, width: number): number {
  return n < 2 ? width : (index / (n - 1)) * width;
}

export function up(value: number, top: number, height: number): number {
  return height - (Math.min(value, top) / top) * height;
}

/** The step at a place. */
export function stepAt(x: number, n: number, width: number): number {
  if (width <= 0) return n - 1;
  return Math.min(n - 1, Math.max(0, Math.round((x / width) * (n - 1))));
}

const short = (n: number) => Math.round(n * 10) / 10;

/** Runs of numbers without a gap, as first and last step. */
export function runs(values: Values): [number, number][] {
  const found: [number, number][] = [];
  let first = -1;
  for (let i = 0; i <= values.length; i++) {
    const there = i < values.length && values[i] !== null;
    if (there && first < 0) first = i;
    if (!there && first >= 0) {
      found.push([first, i - 1]);
      first = -1;
    }
  }
  return found;
}

function points(values: Values, [from, to]: [number, number], top: number, width: number, height: number) {
  const at: string[] = [];
  for (let i = from; i <= to; i++) {
    const x = short(across(i, values.length, width));
    at.push(`${x} ${short(up(values[i] ?? 0, top, height))}`);
  }
  return at;
}

/** A line that breaks at gaps; a number alone is a dot. */
export function linePath(values: Values, top: number, width: number, height: number): string {
  return runs(values)
    .map((run) => {
      const at = points(values, run, top, width, height);
      return at.length === 1 ? `M${at[0]}h.1` : `M${at.join('L')}`;
    })
    .join('');
}

/** What lies below the line. */
export function areaPath(values: Values, top: number, width: number, height: number): string {
  return runs(values)
    .map((run) => {
      const at = points(values, run, top, width, height);
      const [first, last] = run.map((i) => short(across(i, values.length, width)));
      return `M${first} ${height}L${at.join('L')}L${last} ${height}Z`;
    })
    .join('');
}

const MINUTE = 60_000;
const TICKS = [5, 10, 15, 30, 60, 120, 180, 240, 360].map((n) => n * MINUTE);

/** Round times of the reader's clock between two moments, at most so many. */
export function timeTicks(from: number, to: number, max: number): number[] {
  const step = TICKS.find((step) => (to - from) / step <= max) ?? TICKS[TICKS.length - 1] ?? MINUTE;
  const shift = new Date(from).getTimezoneOffset() * MINUTE;
  const ticks: number[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** The sum of each bar of `size` steps, so that bars stay wide enough to be seen. */
export function bars(values: Values, size: number): (number | null)[] {
  const sums: (number | null)[] = [];
  for (let i = 0; i < values.length; i += size) {
    const part = values.slice(i, i + size).filter((value) => value !== null);
    sums.push(part.length > 0 ? part.reduce((a, b) => a + b, 0) : null);
  }
  return sums;
}
