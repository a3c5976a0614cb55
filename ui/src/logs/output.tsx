// The lines themselves. Only those that are seen are in the document, whatever is held; the line at the top
// stays where it is when others come, leave or take another height.
import { type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { say } from '../words';
import type { Line } from './line';
import css from './output.module.css';
import { Row, type RowProps } from './row';
import rowCss from './row.module.css';
import type { Times } from './times';
import { layout, measured, rowAt, rows, ROW_PX, type Shape } from './window';

/** As near to an end as counts for being there. */
const AT_END_PX = 24;
const NEAR_PX = 600;
/** What stands in a row beside its text, in characters. */
const TIME_COLUMNS: Record<Times, number> = { local: 14, utc: 14, age: 8, none: 0 };
const NAME_COLUMNS = 14;
const EDGE_PX = 36;

export interface Handle {
  /** Brings a row into view, at the top or in the middle. */
  show(row: number, where?: 'top' | 'middle'): void;
  toEnd(): void;
  focus(): void;
}

interface Props {
  handle: Ref<Handle>;
  lines: readonly Line[];
  asides: ReadonlySet<number>;
  current: number | undefined;
  times: Times;
  now: number;
  wrap: boolean;
  mark: RegExp | undefined;
  /** Whose line it is, where there are several. */
  nameOf: ((line: Line) => string) | undefined;
  /** Whether the newest line is shown as it comes. */
  live: boolean;
  onOlder: () => void;
  onNewer: () => void;
  onCurrent: (line: Line) => void;
  /** The first row that is seen, and whether the end is. */
  onMove: (row: number, atEnd: boolean) => void;
  top: ReactNode;
  bottom: ReactNode;
}

export function Output(props: Props) {
  const { lines, asides, current, times, now, wrap, mark, nameOf, live } = props;
  const box = useRef<HTMLDivElement>(null);
  const sizer = useRef<HTMLDivElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  const anchor = useRef<{ n: number; dy: number }>(undefined);
  const [columns, setColumns] = useState(0);
  const [version, measure] = useState(0);
  const [at, setAt] = useState({ top: 0, height: 800 });
  const shape = useMemo<Shape>(() => ({ columns: wrap ? columns - TIME_COLUMNS[times] - (nameOf ? NAME_COLUMNS : 0) : undefined }), [wrap, columns, times, !nameOf]);
  // Heights are kept with the lines: after a measurement they are added up anew.
  const tops = useMemo(() => layout(lines, shape), [lines, shape, version]);
  const [from, to] = rows(tops, at.top, at.height);
  const latest = useRef({ lines, tops });
  latest.current = { lines, tops };

  /** Where rows begin in the box. */
  const offset = () => sizer.current?.offsetTop ?? 0;

  const look = useCallback(() => {
    const el = box.current;
    if (!el) return;
    const { lines: all, tops: heights } = latest.current;
    const top = el.scrollTop - offset();
    const row = rowAt(heights, Math.max(0, top));
    const line = all[row];
    anchor.current = line && { n: line.n, dy: top - (heights[row] ?? 0) };
    stick.current = el.scrollHeight - el.scrollTop - el.clientHeight < AT_END_PX;
    setAt((old) => (sameRows(heights, old, { top, height: el.clientHeight }) ? old : { top, height: el.clientHeight }));
    return { row, top, el };
  }, []);

  const { onMove, onOlder, onNewer } = props;
  const scrolled = () => {
    const seen = look();
    if (!seen) return;
    onMove(seen.row, stick.current);
    if (seen.top < NEAR_PX && !stick.current) onOlder();
    if (seen.el.scrollHeight - seen.el.scrollTop - seen.el.clientHeight < NEAR_PX) onNewer();
  };

  // The height of rows that were not seen before, then the place of what the reader looks at.
  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    let isNews = false;
    if (shape.columns) {
      for (const [i, row] of [...(body.current?.children ?? [])].entries()) {
        const line = lines[from + i];
        if (line) isNews = measured(line, shape, (row as HTMLElement).offsetHeight) || isNews;
      }
    }
    if (isNews) return measure((n) => n + 1);
    const known = anchor.current;
    if (stick.current && live) el.scrollTop = el.scrollHeight;
    else if (known) {
      const row = lines[rowAt(tops, Math.max(0, el.scrollTop - offset()))]?.n === known.n ? -1 : lines.findIndex((line) => line.n === known.n);
      const top = row < 0 ? undefined : (tops[row] ?? 0) + known.dy + offset();
      if (top !== undefined && Math.abs(top - el.scrollTop) > 1) el.scrollTop = top;
    }
    look();
  });

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const resized = () => {
      setColumns(Math.max(20, Math.floor((el.clientWidth - EDGE_PX) / charWidth(el))));
      look();
    };
    const observer = new ResizeObserver(resized);
    observer.observe(el);
    return () => observer.disconnect();
  }, [look]);

  useImperativeHandle(props.handle, () => ({
    show(row, where = 'middle') {
      const el = box.current;
      if (!el) return;
      stick.current = false;
      const { lines: all, tops: heights } = latest.current;
      const space = where === 'middle' ? Math.max(0, el.clientHeight / 2 - ROW_PX) : 0;
      const line = all[row];
      anchor.current = line && { n: line.n, dy: -space };
      el.scrollTop = (heights[row] ?? 0) - space + offset();
      look();
      if (line) anchor.current = { n: line.n, dy: el.scrollTop - offset() - (heights[row] ?? 0) };
      onMove(rowAt(heights, Math.max(0, el.scrollTop - offset())), false);
    },
    toEnd() {
      const el = box.current;
      if (!el) return;
      stick.current = true;
      el.scrollTop = el.scrollHeight;
      onMove(lines.length - 1, true);
    },
    focus: () => box.current?.focus(),
  }));

  return (
    <div
      ref={box}
      className={`${css.output} ${wrap ? `${css.folded} ${rowCss.wrapped}` : ''}`}
      onScroll={scrolled}
      onClick={(event) => {
        const n = Number((event.target as HTMLElement).closest<HTMLElement>('[data-line]')?.dataset.line);
        const line = lines.find((candidate) => candidate.n === n);
        if (line && !getSelection()?.toString()) props.onCurrent(line);
      }}
      role="log"
      aria-live="off"
      aria-label={say('log.output')}
      tabIndex={0}
    >
      {props.top}
      <div ref={sizer} className={css.sizer} style={{ height: tops.at(-1) }}>
        <div ref={body} className={css.body} style={{ translate: `0 ${tops[from] ?? 0}px` }}>
          {lines.slice(from, to).map((line) => {
            const row: RowProps = { line, times, now, name: nameOf?.(line), mark, current: line.n === current, aside: asides.has(line.n) };
            return <Row key={line.n} {...row} />;
          })}
        </div>
      </div>
      {props.bottom}
    </div>
  );
}

/** Whether a move draws the same rows. */
function sameRows(tops: Float64Array, a: { top: number; height: number }, b: { top: number; height: number }): boolean {
  const [x, y] = [rows(tops, a.top, a.height), rows(tops, b.top, b.height)];
  return x[0] === y[0] && x[1] === y[1];
}

let known: { font: string; width: number } | undefined;

/** The width of a character, all of which are of one width. */
function charWidth(el: HTMLElement): number {
  const { font } = getComputedStyle(el);
  if (known?.font === font) return known.width;
  const pen = document.createElement('canvas').getContext('2d');
  if (!pen) return 8;
  pen.font = font;
  known = { font, width: pen.measureText('0'.repeat(100)).width / 100 || 8 };
  return known.width;
}
