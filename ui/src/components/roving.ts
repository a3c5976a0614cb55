// One tab stop for a whole list: the arrows lead from row to row, and into a row and out of it.
import { type KeyboardEvent, type RefObject, useLayoutEffect, useRef, useState } from 'react';
import { inSequence } from '../lib/keys';

const CONTROLS = 'a[href], button, input';
const PAGE_ROWS = 10;

export interface Roving {
  /** The key of the row that the tab key leads to. */
  current: string | undefined;
  /** For the element around the rows, each of which has its key in `data-row`. */
  onKeyDown: (event: KeyboardEvent) => void;
  onFocus: (event: { target: EventTarget }) => void;
  onBlur: (event: { target: EventTarget; relatedTarget: EventTarget | null }) => void;
}

export interface RowKeys<T> {
  /** What letters do to the row that has the focus. */
  keys?: Record<string, (row: T) => void> | undefined;
  /** Space: selects or unselects; from the row it was last done on when `range`. */
  onSelect?: ((index: number, range: boolean) => void) | undefined;
  onEscape?: (() => boolean) | undefined;
  /** Whether the row is folded out; undefined when it cannot be. */
  folded?: ((row: T) => boolean | undefined) | undefined;
  onFold?: ((row: T) => void) | undefined;
}

/** Where a key leads from row `at` of `n`. */
function target(key: string, at: number, n: number): number | undefined {
  if (key === 'ArrowDown' || key === 'j') return Math.min(n - 1, at + 1);
  if (key === 'ArrowUp' || key === 'k') return Math.max(0, at - 1);
  if (key === 'Home') return 0;
  if (key === 'End') return n - 1;
  if (key === 'PageDown') return Math.min(n - 1, at + PAGE_ROWS);
  if (key === 'PageUp') return Math.max(0, at - PAGE_ROWS);
  return undefined;
}

export function useRoving<T>(
  box: RefObject<HTMLElement | null>,
  rows: readonly T[],
  rowKey: (row: T) => string,
  /** Brings a row onto the screen that is not drawn. */
  reveal: RefObject<((index: number) => void) | undefined>,
  options: RowKeys<T>,
): Roving {
  const [chosen, setChosen] = useState<string>();
  /** The row to focus as soon as it is drawn, and the place of the one that has the focus. */
  const wanted = useRef<string>(undefined);
  const place = useRef(-1);
  const index = chosen === undefined ? -1 : rows.findIndex((row) => rowKey(row) === chosen);
  const first = rows[Math.max(0, index)];
  const current = first === undefined ? undefined : rowKey(first);

  const drawn = (key: string) =>
    [...(box.current?.querySelectorAll<HTMLElement>('[data-row]') ?? [])].find((row) => row.dataset.row === key);

  useLayoutEffect(() => {
    // What had the focus is gone, by somebody else's hand, or drawn anew: its place keeps it.
    if (place.current >= 0 && document.activeElement === document.body) {
      const heir = index >= 0 ? first : rows[Math.min(place.current, rows.length - 1)];
      if (heir !== undefined) wanted.current = rowKey(heir);
    }
    if (wanted.current !== undefined) {
      const row = drawn(wanted.current);
      if (row) {
        wanted.current = undefined;
        row.focus();
      }
    }
  });

  const go = (to: number) => {
    const row = rows[to];
    if (row === undefined) return;
    const key = rowKey(row);
    setChosen(key);
    const element = drawn(key);
    if (element) element.focus();
    else {
      wanted.current = key;
      reveal.current?.(to);
    }
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || inSequence()) return;
    const element = event.target as HTMLElement;
    const line = element.closest<HTMLElement>('[data-row]');
    if (!line || !box.current?.contains(line)) return;
    const at = rows.findIndex((row) => rowKey(row) === line.dataset.row);
    const row = rows[at];
    if (row === undefined) return;
    const to = target(event.key, at, rows.length);
    if (to !== undefined) {
      if (event.shiftKey && options.onSelect) options.onSelect(to, true);
      go(to);
    } else if (!act(event, row, at, line, options)) return;
    event.preventDefault();
    event.stopPropagation();
  };

  const onFocus = ({ target: element }: { target: EventTarget }) => {
    const key = (element as HTMLElement).closest<HTMLElement>('[data-row]')?.dataset.row;
    place.current = rows.findIndex((row) => rowKey(row) === key);
    if (key !== undefined) setChosen(key);
  };
  // Left on purpose, by the tab key or a click elsewhere: then nothing is given back.
  const onBlur = ({ target: element, relatedTarget: to }: { target: EventTarget; relatedTarget: EventTarget | null }) => {
    if (to) place.current = box.current?.contains(to as Node) ? place.current : -1;
    else {
      setTimeout(() => {
        if ((element as HTMLElement).isConnected && document.activeElement === document.body) place.current = -1;
      });
    }
  };
  return { current, onKeyDown, onFocus, onBlur };
}

/** What a key does within a row; false when it is none of ours. */
function act<T>(event: KeyboardEvent, row: T, at: number, line: HTMLElement, options: RowKeys<T>): boolean {
  const own = event.target === line;
  const controls = [...line.querySelectorAll<HTMLElement>(CONTROLS)].filter((control) => control.offsetWidth > 0);
  const inside = controls.indexOf(event.target as HTMLElement);
  const folded = options.folded?.(row);
  switch (event.key) {
    case 'Enter':
      if (!own) return false;
      if (folded !== undefined) options.onFold?.(row);
      else controls.find((control) => control instanceof HTMLAnchorElement)?.click();
      return true;
    case ' ':
      if (!own || !options.onSelect) return false;
      options.onSelect(at, event.shiftKey);
      return true;
    case 'ArrowRight':
      if (own && folded === true) options.onFold?.(row);
      else controls[inside + 1]?.focus();
      return true;
    case 'ArrowLeft':
      if (own && folded === false) options.onFold?.(row);
      else (controls[inside - 1] ?? line).focus();
      return true;
    case 'Escape':
      return options.onEscape?.() ?? false;
    default: {
      const action = event.shiftKey ? undefined : options.keys?.[event.key];
      if (!action) return false;
      action(row);
      return true;
    }
  }
}
