// A series as small as a word: its shape, beside the number that says how much.
import css from './sparkline.module.css';
import { areaPath, linePath, type Values } from './scale';

const WIDTH = 56;
const HEIGHT = 18;

/** `points` are hundredths of their greatest; what is small against `full` stays low. */
export function Sparkline({ points, hue, full = 100 }: { points: Values; hue: string; full?: number }) {
  return (
    <svg
      className={css.spark}
      style={{ color: `var(--${hue})` }}
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 -1 ${WIDTH} ${HEIGHT + 2}`}
      aria-hidden
    >
      <path className={css.area} d={areaPath(points, full, WIDTH, HEIGHT)} />
      <path className={css.line} d={linePath(points, full, WIDTH, HEIGHT)} />
    </svg>
  );
}
