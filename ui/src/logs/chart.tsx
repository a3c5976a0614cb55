// How much was written when, trouble in its own colour. Drawn as two outlines, however long the list is;
// pressing, dragging and the arrow keys lead to the lines of a time.
import { type KeyboardEvent, memo, type PointerEvent, useMemo } from 'react';
import { say } from '../words';
import css from './chart.module.css';
import { outline, type Part, partOf } from './histogram';
import { clock, type Times } from './times';

interface Props {
  parts: readonly Part[];
  /** Place of the first line that is seen. */
  line: number;
  times: Times;
  onPick: (line: number) => void;
}

export const Chart = memo(function Chart({ parts, line, times, onPick }: Props) {
  const [all, bad] = useMemo(() => [outline(parts, (part) => part.lines), outline(parts, (part) => part.bad)], [parts]);
  const last = parts.length - 1;
  if (last < 0) return null;
  const at = partOf(parts, line);
  const pick = (i: number) => onPick(parts[Math.max(0, Math.min(last, i))]?.first ?? 0);
  const point = (event: PointerEvent<HTMLDivElement>) => {
    if (event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    if (event.type === 'pointerdown') event.currentTarget.setPointerCapture(event.pointerId);
    pick(Math.floor(((event.clientX - box.left) / box.width) * parts.length));
  };
  const key = (event: KeyboardEvent) => {
    const next: Record<string, number> = {
      ArrowRight: busy(parts, at, 1), ArrowUp: busy(parts, at, 1), ArrowLeft: busy(parts, at, -1), ArrowDown: busy(parts, at, -1),
      Home: 0, End: last, PageUp: at - 10, PageDown: at + 10,
    };
    const to = next[event.key];
    if (to === undefined) return;
    event.preventDefault();
    pick(to);
  };
  return (
    <div
      className={css.chart}
      role="slider"
      tabIndex={0}
      aria-label={say('log.chart')}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={at}
      aria-valuetext={words(parts[at], times)}
      onPointerDown={point}
      onPointerMove={point}
      onKeyDown={key}
    >
      <svg viewBox={`0 0 ${parts.length} 1`} preserveAspectRatio="none" aria-hidden="true">
        <path className={css.all} d={all} />
        <path className={css.bad} d={bad} />
      </svg>
      <span className={css.at} style={{ left: `${(at / parts.length) * 100}%` }} />
    </div>
  );
});

/** The next part in which something was written. */
function busy(parts: readonly Part[], at: number, step: 1 | -1): number {
  let to = at + step;
  while (parts[to] && parts[to]?.lines === 0) to += step;
  return to;
}

function words(part: Part | undefined, times: Times): string {
  if (!part) return '';
  const time = clock(part.at, times === 'utc' ? 'utc' : 'local', 0).slice(0, 8);
  return say('log.part', { time, lines: say('log.lines', { n: part.lines }), bad: say('log.bad', { n: part.bad }) });
}
