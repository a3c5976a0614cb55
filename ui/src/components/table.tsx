// Tables: sortable heads, one link per row that covers it, drawn in part when they are long.
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { ArrowDown, ArrowUp } from 'lucide-react';
import { type ReactNode, type RefObject, useLayoutEffect, useMemo, useRef, useState } from 'react';
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
}

export interface Sort {
  by: string;
  down: boolean;
}

/** Narrower windows show rows as cards. */
const PHONE_BELOW = 720;
/** More rows than this are drawn only where they are seen. */
const PLAIN_MAX = 100;

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
}

/** The columns a table of the present width has room for; on a phone the style sheet decides. */
function useFitting<T>(columns: Column<T>[]): [RefObject<HTMLDivElement | null>, Column<T>[]] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(Number.POSITIVE_INFINITY);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    const measure = () => setWidth(window.innerWidth < PHONE_BELOW ? Number.POSITIVE_INFINITY : box.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  const fitting = useMemo(() => columns.filter((column) => width >= (column.from ?? 0)), [columns, width]);
  return [ref, fitting];
}

export function Table<T>(all: Props<T>) {
  const [box, columns] = useFitting(all.columns);
  const props = { ...all, columns };
  const { label, rows } = props;
  const tracks = columns.map((column) => column.width).join(' ');
  return (
    <div className={css.scroll} ref={box}>
      <div
        role="table"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        className={css.table}
        style={{ ['--tracks' as string]: tracks }}
      >
        <Head {...props} />
        {rows.length > PLAIN_MAX ? <LongBody {...props} /> : <PlainBody {...props} />}
      </div>
    </div>
  );
}

function Head<T>({ columns, sort, onSort }: Props<T>) {
  return (
    <div role="rowgroup">
      <div role="row" aria-rowindex={1} className={css.head}>
        {columns.map((column) => {
          const current = sort?.by === column.id;
          const order = current ? (sort?.down ? 'descending' : 'ascending') : undefined;
          return (
            <div
              key={column.id}
              role="columnheader"
              aria-sort={order}
              className={column.align === 'end' ? css.end : undefined}
            >
              {column.compare && onSort ? (
                <button
                  type="button"
                  className={css.sort}
                  onClick={() => onSort({ by: column.id, down: current ? !sort?.down : false })}
                >
                  {column.head}
                  {current &&
                    (sort?.down ? <ArrowDown size={12} aria-hidden /> : <ArrowUp size={12} aria-hidden />)}
                </button>
              ) : (
                column.head || <span className="visually-hidden">Actions</span>
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Cells<T>({ columns, row }: { columns: Column<T>[]; row: T }) {
  return columns.map((column) => (
    <div
      key={column.id}
      role="cell"
      className={`${css.cell} ${column.align === 'end' ? css.end : ''} ${css[`phone-${column.phone ?? 'detail'}`]}`}
    >
      {column.cell(row)}
    </div>
  ));
}

function PlainBody<T>({ rows, columns, rowKey, dim }: Props<T>) {
  return (
    <div role="rowgroup">
      {rows.map((row, i) => (
        <div
          key={rowKey(row)}
          role="row"
          aria-rowindex={i + 2}
          className={`${css.row} ${dim?.(row) ? css.dim : ''}`}
        >
          <Cells columns={columns} row={row} />
        </div>
      ))}
    </div>
  );
}

function LongBody<T>({ rows, columns, rowKey, dim }: Props<T>) {
  const ref = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    if (ref.current) setTop(ref.current.getBoundingClientRect().top + window.scrollY);
  }, []);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => (window.innerWidth < PHONE_BELOW ? 84 : 41),
    overscan: 12,
    scrollMargin: top,
    getItemKey: (i) => {
      const row = rows[i];
      return row === undefined ? i : rowKey(row);
    },
  });
  return (
    <div role="rowgroup" ref={ref} className={css.long} style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const row = rows[item.index];
        if (row === undefined) return null;
        return (
          <div
            key={item.key}
            ref={virtual.measureElement}
            data-index={item.index}
            role="row"
            aria-rowindex={item.index + 2}
            className={`${css.row} ${dim?.(row) ? css.dim : ''}`}
            style={{ translate: `0 ${item.start - top}px` }}
          >
            <Cells columns={columns} row={row} />
          </div>
        );
      })}
    </div>
  );
}

/** The link of a row: its area is the whole row. */
export const rowLink = css.rowLink;
/** Something inside a row that is pressed for itself. */
export const rowAction = css.rowAction;
