// What the live stream has told so far. Whoever listens is woken for its own part only: for one row,
// for the rows of one kind, for the status.
import type { LiveSnapshot, Status } from './types';

/** The kinds of rows of the stream, with their rows: the lists that a snapshot has. */
type Kinds = {
  [K in keyof LiveSnapshot as LiveSnapshot[K] extends { id: string }[] ? K : never]: LiveSnapshot[K] extends (infer R)[]
    ? R
    : never;
};
export type Kind = keyof Kinds;
export type Row<K extends Kind> = Kinds[K];
type Tables = { [K in Kind]: Table<Row<K>> };

/** A table for each kind, in the order in which its rows are shown. A new kind is a line here. */
const tables = (): Tables => ({
  apps: new Table((a, b) => (a.id < b.id ? -1 : 1)),
  nodes: new Table((a, b) => a.host.localeCompare(b.host, 'en', { numeric: true })),
  deployments: new Table((a, b) => (a.started_at < b.started_at ? -1 : 1)),
});

type Rows = { [K in Kind]: Row<K>[] };
type Changes = { [K in Kind]?: { set: Row<K>[]; removed: string[] } };
/** All there is; also how one tab tells another. */
export type Everything = Rows & { status?: Status };

/** Ids of rows that are others than before, or gone. */
export type Changed = ReadonlySet<string> | 'all';

/** A value, and who wants to know when it is another one. */
export class Cell<T> {
  private listeners = new Set<() => void>();

  constructor(private value: T) {}

  get = (): T => this.value;

  put(value: T): void {
    if (Object.is(value, this.value)) return;
    this.value = value;
    for (const f of this.listeners) f();
  }

  subscribe = (f: () => void): (() => void) => {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  };
}

/** The rows of one kind, and who wants to know of which. */
class Table<R extends { id: string }> {
  private rows = new Map<string, R>();
  private sorted: readonly R[] | undefined;
  private changed: Set<string> | 'all' = new Set();
  private listeners = new Set<(changed: Changed) => void>();
  private byRow = new Map<string, Set<() => void>>();

  constructor(private order: (a: R, b: R) => number) {}

  get(id: string): R | undefined {
    return this.rows.get(id);
  }

  /** All rows in order; the same array until one changes. */
  all = (): readonly R[] => {
    this.sorted ??= [...this.rows.values()].sort(this.order);
    return this.sorted;
  };

  /** Calls `f` whenever a row is another one, with the ids; returns the way to stop. */
  subscribe = (f: (changed: Changed) => void): (() => void) => {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  };

  /** Calls `f` when this row comes, goes or is another one; returns the way to stop. */
  subscribeTo(id: string, f: () => void): () => void {
    const listeners = this.byRow.get(id) ?? new Set();
    this.byRow.set(id, listeners.add(f));
    return () => {
      listeners.delete(f);
      if (listeners.size === 0 && this.byRow.get(id) === listeners) this.byRow.delete(id);
    };
  }

  replace(rows: R[]): void {
    this.rows = new Map(rows.map((row) => [row.id, row]));
    this.sorted = undefined;
    this.changed = 'all';
  }

  merge(set: R[], removed: string[]): void {
    for (const id of removed) this.rows.delete(id);
    for (const row of set) this.rows.set(row.id, row);
    this.sorted = undefined;
    if (this.changed === 'all') return;
    for (const id of removed) this.changed.add(id);
    for (const row of set) this.changed.add(row.id);
  }

  /** Tells of what changed since it was told last. */
  wake(): void {
    const { changed } = this;
    if (changed !== 'all' && changed.size === 0) return;
    this.changed = new Set();
    for (const f of this.listeners) f(changed);
    for (const id of changed === 'all' ? this.byRow.keys() : changed) {
      for (const f of this.byRow.get(id) ?? []) f();
    }
  }
}

export class Store {
  readonly status = new Cell<Status | undefined>(undefined);
  readonly tables = tables();
  private readonly kinds = Object.keys(this.tables) as Kind[];

  /** Takes an event of the stream over, then wakes those whom it concerns. */
  take(event: string, data: string): void {
    if (event === 'snapshot') this.replace(JSON.parse(data) as Everything);
    else if (event === 'delta') this.merge(JSON.parse(data) as Changes & { status?: Status });
  }

  /** Forgets what was known for `all`. */
  replace(all: Everything): void {
    const rows: Rows = all;
    this.kinds.forEach(<K extends Kind>(kind: K) => this.tables[kind].replace(rows[kind]));
    this.wake(all.status);
  }

  clear(): void {
    this.kinds.forEach(<K extends Kind>(kind: K) => this.tables[kind].replace([]));
    this.wake(undefined);
  }

  everything(): Everything {
    const rows = this.kinds.map((kind) => [kind, this.tables[kind].all()]);
    return { ...Object.fromEntries(rows), status: this.status.get() };
  }

  private merge({ status, ...changes }: Changes & { status?: Status }): void {
    const rows: Changes = changes;
    this.kinds.forEach(<K extends Kind>(kind: K) => {
      const changed = rows[kind];
      if (changed) this.tables[kind].merge(changed.set, changed.removed);
    });
    this.wake(status ?? this.status.get());
  }

  /** Only when all is taken over, so that nobody sees half of an event. */
  private wake(status: Status | undefined): void {
    this.status.put(status);
    for (const kind of this.kinds) this.tables[kind].wake();
  }
}
