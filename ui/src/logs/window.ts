// Which rows are drawn: heights that are guessed by the length of the text until a row was seen.
import type { Line } from './line';

export const ROW_PX = 18;
/** Rows drawn beyond those that are seen, and by how many the window moves at once. */
const BEYOND = 24;
const STEP = 16;

/** How rows are laid out; another object when another width or wrapping asks for other heights. */
export interface Shape {
  /** Characters in a row; nothing where lines are not wrapped. */
  columns?: number | undefined;
}

/** Where each row begins, and where the last one ends. */
export function layout(lines: readonly Line[], shape: Shape): Float64Array {
  const tops = new Float64Array(lines.length + 1);
  let top = 0;
  lines.forEach((line, i) => {
    top += heightOf(line, shape);
    tops[i + 1] = top;
  });
  return tops;
}

function heightOf(line: Line, shape: Shape): number {
  if (!shape.columns) return ROW_PX;
  if (line.heightOf === shape && line.height) return line.height;
  return ROW_PX * Math.max(1, Math.ceil(line.width / shape.columns));
}

/** Notes what a row takes; whether that is news. */
export function measured(line: Line, shape: Shape, px: number): boolean {
  const isNews = heightOf(line, shape) !== px;
  line.height = px;
  line.heightOf = shape;
  return isNews;
}

/** The row at a height. */
export function rowAt(tops: Float64Array, y: number): number {
  let [low, high] = [0, Math.max(0, tops.length - 2)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((tops[middle] ?? 0) <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The rows to draw for what is seen; the same for small moves. */
export function rows(tops: Float64Array, top: number, height: number): [from: number, to: number] {
  const n = tops.length - 1;
  const from = Math.floor((rowAt(tops, top) - BEYOND) / STEP) * STEP;
  const to = Math.ceil((rowAt(tops, top + height) + 1 + BEYOND) / STEP) * STEP;
  return [Math.max(0, from), Math.min(n, to)];
}
