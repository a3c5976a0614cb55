// Tables: sortable heads, one link per row that covers it, one tab stop for all rows, drawn in part
// when they are long.
import { defaultRangeExtractor, measureElement, useWindowVirtualizer, type Virtualizer, windowScroll } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { memo, type ReactNode, type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { oneOf, Stored, useStored } from '../lib/stored';
import { say } from '../words';
import { type Roving, useRoving } from './roving';
import css from './table.module.css';

export interface Column<T> {
  id: string;
  head: string;
  /** A grid track, as `minmax(200px, 3fr)`. */
  width: string;
  cell: (row: T) => ReactNode;
  /** Present when the column sorts; ascending order. */
  compare?: (a: T, b: T) => number;
  align?: 'end';
  /** Where the cell goes on a phone: top line, its end, details, their end, or nowhere. */
  phone?: 'top' | 'end' | 'detail' | 'foot' | 'none';
  /** Width of the table below which the column is left out; those that matter less go first. */
  from?: number;
  /** Stays at the edge when the table is wider than its place. */
  sticky?: boolean;
  /** The reader may leave it out. */
  optional?: boolean;
}

export interface Sort {
  by: string;
  down: boolean;
}

/** Which rows are selected, and how that changes. */
export interface Select<T> {
  state: (row: T) => boolean | 'some';
  set: (rows: readonly T[], on: boolean) => void;
  clear: () => void;
  any: boolean;
  /** What the row is called, for its check box. */
  name: (row: T) => string;
}

/** Narrower windows show rows as cards. */
const PHONE_BELOW = 720;
/** More rows than this are drawn only where they are seen. */
const PLAIN_MAX = 40;
/** Below the bar at the top of the window. */
const TOP_PX = 64;
/** The line around the panel of a table. */
const FRAME_PX = 2;
/** Rows drawn beyond those that are seen: each costs as much as one that is. */
const OVERSCAN = 2;
const ROW_PX = { dense: 28, normal: 40, phone: 84 };

/** How high the rows of all lists are, as the reader chose. */
export const density = new Stored<'normal' | 'dense'>('density', 'normal', oneOf('normal', 'dense'));

export function sorted<T>(
  rows: readonly T[],
  columns: Column<T>[],
  sort: Sort | undefined,
): readonly T[] {
  const compare = columns.find((column) => column.id === sort?.by)?.compare;
  if (!compare) return rows;
  const sign = sort?.down ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(a, b));
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  sort?: Sort | undefined;
  onSort?: (sort: Sort) => void;
  /** Rows that are over, shown quieter. */
  dim?: (row: T) => boolean;
  /** Rows of 28 px instead of 40; as the reader chose unless it is said. */
  dense?: boolean;
  /** What letters do to the row that has the focus. */
  keys?: Record<string, (row: T) => void>;
  select?: Select<T>;
  /** Of a row with others below it: whether they are shown. */
  open?: (row: T) => boolean | undefined;
  onFold?: (row: T) => void;
  /** The row that has the focus now. */
  onCurrent?: (row: T) => void;
}

/** Props, and what the table found out by itself. */
interface Drawn<T> extends Props<T> {
  roving: Roving;
  reveal: RefObject<((index: number) => void) | undefined>;
  /** What a row tells of; the same for the life of the table. */
  told: Told<T>;
  /** Where the table begins, in pixels below the top of the page. */
  top: number;
}

interface Told<T> {
  choose: (row: T, on: boolean) => void;
  current: (row: T) => void;
}

/** The room that a table will have, as far as it is known before it is there. */
function expected(): number {
  const main = document.getElementById('main');
  if (!main || window.innerWidth < PHONE_BELOW) return Number.POSITIVE_INFINITY;
  const { paddingLeft, paddingRight } = getComputedStyle(main);
  return main.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight) - FRAME_PX;
}

/**
 * The columns a table of the present width has room for (on a phone the style sheet decides), and how far below the
 * top of the page it begins. That is known before a long body is drawn, which so need not have itself laid out for it.
 */
function useFitting<T>(columns: Column<T>[]): [RefObject<HTMLDivElement | null>, Column<T>[], number] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(expected);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    const measure = () => {
      setWidth(window.innerWidth < PHONE_BELOW ? Number.POSITIVE_INFINITY : box.clientWidth);
      setTop(box.getBoundingClientRect().top + window.scrollY);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const fits = (column: Column<T>) => width >= (column.from ?? 0);
  // Of another width that has room for the same columns no row is drawn anew.
  const fitting = columns.filter(fits).length;
  return [ref, useMemo(() => columns.filter(fits), [columns, fitting]), top];
}

/** Space on a row: it alone, or all from where it was pressed last. */
function useSpace<T>(rows: readonly T[], select: Select<T> | undefined): ((at: number, range: boolean) => void) | undefined {
  const anchor = useRef<number>(undefined);
  if (!select) return undefined;
  return (at, range) => {
    const row = rows[at];
    if (row === undefined) return;
    const from = range ? (anchor.current ?? at) : at;
    if (range) select.set(rows.slice(Math.min(from, at), Math.max(from, at) + 1), true);
    else select.set([row], select.state(row) !== true);
    anchor.current = range ? from : at;
  };
}

export function Table<T>(all: Props<T>) {
  const [box, columns, top] = useFitting(all.columns);
  const { label, rows, rowKey, select } = all;
  const chosen = useStored(density) === 'dense';
  const dense = all.dense ?? chosen;
  const reveal = useRef<(index: number) => void>(undefined);
  const onSelect = useSpace(rows, select);
  const roving = useRoving(box, rows, rowKey, reveal, {
    keys: all.keys,
    onSelect,
    onEscape: () => {
      if (!select?.any) return false;
      select.clear();
      return true;
    },
    folded: all.open && ((row) => (all.open?.(row) === undefined ? undefined : !all.open(row))),
    onFold: all.onFold,
  });
  const now = useRef(all);
  now.current = all;
  const [told] = useState<Told<T>>(() => ({
    choose: (row, on) => now.current.select?.set([row], on),
    current: (row) => now.current.onCurrent?.(row),
  }));
  const props = { ...all, columns, top, dense, roving, reveal, told };
  const tracks = [...(select ? ['20px'] : []), ...columns.map((column) => column.width)].join(' ');
  return (
    <div className={css.scroll} ref={box}>
      <div
        role="table"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        className={css.table}
        style={{ ['--tracks' as string]: tracks }}
        data-dense={dense || undefined}
        data-selecting={select?.any || undefined}
      >
        <Head {...props} />
        {rows.length > PLAIN_MAX ? <LongBody {...props} /> : <PlainBody {...props} />}
      </div>
    </div>
  );
}

function Head<T>({ columns, rows, sort, onSort, select }: Drawn<T>) {
  return (
    <div role="rowgroup">
      <div role="row" aria-rowindex={1} className={css.head}>
        {select && (
          <div role="columnheader" className={css.check}>
            <Box
              state={(rows.length > 0 && rows.every((row) => select.state(row) === true)) || (select.any && 'some')}
              label={say('list.selectAll')}
              onChange={(on) => (on ? select.set(rows, true) : select.clear())}
            />
          </div>
        )}
        {columns.map((column) => {
          const current = sort?.by === column.id;
          const order = current ? (sort?.down ? 'descending' : 'ascending') : undefined;
          return (
            <div
              key={column.id}
              role="columnheader"
              aria-sort={order}
              className={`${column.align === 'end' ? css.end : ''} ${column.sticky ? css.sticky : ''}`}
            >
              {column.compare && onSort ? (
                <button
                  type="button"
                  className={css.sort}
                  onClick={() => onSort({ by: column.id, down: current ? !sort?.down : false })}
                >
                  {column.head}
                  {/* Its place is kept, so that no head moves when another one sorts. */}
                  <span className={css.arrow} aria-hidden="true">
                    {current && (sort?.down ? <ArrowDown size={12} /> : <ArrowUp size={12} />)}
                  </span>
                </button>
              ) : (
                column.head || <span className="visually-hidden">{say('list.actions')}</span>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Box({ state, label, onChange }: { state: boolean | 'some'; label: string; onChange: (on: boolean) => void }) {
  return (
    <input
      type="checkbox"
      aria-label={label}
      checked={state === true}
      ref={(box) => {
        if (box) box.indeterminate = state === 'some';
      }}
      onChange={(event) => onChange(event.target.checked)}
    />
  );
}

interface LineProps<T> {
  at: number;
  row: T;
  id: string;
  columns: Column<T>[];
  told: Told<T>;
  /** The tab key leads here. */
  stop: boolean;
  dim: boolean;
  /** Undefined where nothing can be selected. */
  chosen: boolean | 'some' | undefined;
  name: string;
  measure?: (element: HTMLElement | null) => void;
  top?: number;
}

/** Of all that moves in a table, what a row shows. */
function line<T>(props: Drawn<T>, row: T, at: number): LineProps<T> {
  const { columns, rowKey, dim, select, roving, told } = props;
  const id = rowKey(row);
  return {
    at,
    row,
    id,
    columns,
    told,
    stop: roving.current === id,
    dim: dim?.(row) ?? false,
    chosen: select?.state(row),
    name: select?.name(row) ?? '',
  };
}

/** Drawn anew when it shows something else: a list is asked for its rows with each letter and each step. */
const Line = memo(function Line<T>({ at, row, id, columns, told, stop, dim, chosen, name, measure, top }: LineProps<T>) {
  return (
    <div
      ref={measure}
      role="row"
      tabIndex={stop ? 0 : -1}
      data-row={id}
      data-index={at}
      aria-rowindex={at + 2}
      data-selected={chosen === true || undefined}
      className={`${css.row} ${dim ? css.dim : ''}`}
      style={top === undefined ? undefined : { translate: `0 ${top}px` }}
      onFocus={() => told.current(row)}
    >
      {chosen !== undefined && (
        <div role="cell" className={`${css.cell} ${css.check} ${rowAction}`}>
          <Box state={chosen} label={say('list.select', { name })} onChange={(on) => told.choose(row, on)} />
        </div>
      )}
      {columns.map((column) => (
        <div
          key={column.id}
          role="cell"
          className={`${css.cell} ${column.align === 'end' ? css.end : ''} ${column.sticky ? css.sticky : ''} ${css[`phone-${column.phone ?? 'detail'}`]}`}
        >
          {column.cell(row)}
        </div>
      ))}
    </div>
  );
}) as <T>(props: LineProps<T>) => ReactNode;

/** What is in the rows is reached by the arrows, not by the tab key. After each render: cells come and go. */
function useArrowsOnly(ref: RefObject<HTMLElement | null>): void {
  // All rows at once, after they were measured: else each would be laid out by itself.
  useLayoutEffect(() => {
    for (const control of ref.current?.querySelectorAll<HTMLElement>('a, button, input') ?? []) {
      if (control.tabIndex !== -1) control.tabIndex = -1;
    }
  });
}

function PlainBody<T>(props: Drawn<T>) {
  const { rows, rowKey, roving } = props;
  const ref = useRef<HTMLDivElement>(null);
  useArrowsOnly(ref);
  return (
    <div role="rowgroup" ref={ref} onKeyDown={roving.onKeyDown} onFocus={roving.onFocus} onBlur={roving.onBlur}>
      {rows.map((row, i) => (
        <Line key={rowKey(row)} {...line(props, row, i)} />
      ))}
    </div>
  );
}

/** How high a row is: as it was or is expected to be until the browser says so, which need not be asked for it. */
function rowHeight(row: HTMLElement, told: ResizeObserverEntry | undefined, all: Virtualizer<Window, HTMLElement>): number {
  if (told) return measureElement(row, told, all);
  const at = Number(row.dataset.index);
  return all.measurementsCache[at]?.size ?? all.options.estimateSize(at);
}

/** Goes to an offset. To where it is it need not go: that alone would have the page laid out at once. */
const scrollTo: typeof windowScroll<Window> = (offset, how, all) => {
  if (offset + (how.adjustments ?? 0) !== all.scrollOffset) windowScroll(offset, how, all);
};

function LongBody<T>(props: Drawn<T>) {
  const { rows, rowKey, roving, reveal, dense } = props;
  const ref = useRef<HTMLDivElement>(null);
  // The head is as high as a row at most.
  const { top } = props;
  useArrowsOnly(ref);
  const current = useMemo(() => rows.findIndex((row) => rowKey(row) === roving.current), [rows, rowKey, roving.current]);
  // Asked of each row there is, so neither the window's width nor a key that looks like another one.
  const height = window.innerWidth < PHONE_BELOW ? ROW_PX.phone : dense ? ROW_PX.dense : ROW_PX.normal;
  const keyAt = useCallback(
    (i: number) => {
      const row = rows[i];
      return row === undefined ? i : rowKey(row);
    },
    [rows, rowKey],
  );
  const virtual = useWindowVirtualizer<HTMLElement>({
    count: rows.length,
    estimateSize: () => height,
    measureElement: rowHeight,
    scrollToFn: scrollTo,
    overscan: OVERSCAN,
    initialRect: { width: window.innerWidth, height: window.innerHeight },
    scrollMargin: top,
    scrollPaddingStart: TOP_PX,
    scrollPaddingEnd: TOP_PX,
    // The row of the tab stop is always there: what is not drawn cannot keep the focus.
    rangeExtractor: (range) => {
      const seen = defaultRangeExtractor(range);
      return current < 0 || seen.includes(current) ? seen : [...seen, current].sort((a, b) => a - b);
    },
    getItemKey: keyAt,
  });
  reveal.current = (index) => virtual.scrollToIndex(index);
  return (
    <div
      role="rowgroup"
      ref={ref}
      className={css.long}
      style={{ height: virtual.getTotalSize() }}
      onKeyDown={roving.onKeyDown}
      onFocus={roving.onFocus}
      onBlur={roving.onBlur}
    >
      {virtual.getVirtualItems().map((item) => {
        const row = rows[item.index];
        if (row === undefined) return null;
        return (
          <Line
            key={item.key}
            {...line(props, row, item.index)}
            measure={virtual.measureElement}
            top={item.start - top}
          />
        );
      })}
    </div>
  );
}

/** The link of a row: its area is the whole row. */
export const rowLink = css.rowLink;
/** Something inside a row that is pressed for itself. */
export const rowAction = css.rowAction;
