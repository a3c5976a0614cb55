// What the reader chose, kept in the browser: a cell per choice that tells whoever shows it.
import { useSyncExternalStore } from 'react';
import { Cell } from '../api/store';

const cells = new Map<string, Cell<unknown>>();

function read(key: string): unknown {
  try {
    const text = localStorage.getItem(key);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The choice called `name`; `fallback` until one is made, and where what was kept has another shape. */
export class Stored<T> {
  private readonly cell: Cell<T>;
  private readonly key: string;

  constructor(name: string, fallback: T, fits: (value: unknown) => value is T) {
    this.key = `tepui.${name}`;
    const known = cells.get(this.key) as Cell<T> | undefined;
    const kept = read(this.key);
    this.cell = known ?? new Cell<T>(fits(kept) ? kept : fallback);
    cells.set(this.key, this.cell as Cell<unknown>);
  }

  get = (): T => this.cell.get();

  put(value: T): void {
    this.cell.put(value);
    try {
      localStorage.setItem(this.key, JSON.stringify(value));
    } catch {
      // Without storage the choice lasts for this page.
    }
  }

  subscribe = (f: () => void): (() => void) => this.cell.subscribe(f);
}

export function useStored<T>(stored: Stored<T>): T {
  return useSyncExternalStore(stored.subscribe, stored.get);
}

export const oneOf =
  <T extends string>(...words: T[]) =>
  (value: unknown): value is T =>
    words.includes(value as T);

export const texts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

export const flags = (value: unknown): value is Record<string, boolean> =>
  typeof value === 'object' && value !== null && Object.values(value).every((item) => typeof item === 'boolean');
