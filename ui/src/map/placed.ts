// Which instances are where, for the whole cluster: rows of a stream that is read while a map is shown.
import { useEffect, useSyncExternalStore } from 'react';
import { followPart } from '../api/part';
import type { PlacedDelta, PlacedInstance, PlacedSnapshot } from '../api/types';

/** What is known; another object with each event, parts that did not change are the same. */
export interface Placed {
  byNode: ReadonlyMap<string, readonly PlacedInstance[]>;
  /** A snapshot has come. */
  loaded: boolean;
}

const NOTHING: Placed = { byNode: new Map(), loaded: false };

export class PlacedStore {
  private rows = new Map<string, PlacedInstance>();
  private placed = NOTHING;
  private listeners = new Set<() => void>();
  private readers = 0;
  private stop: (() => void) | undefined;

  get = (): Placed => this.placed;

  subscribe = (f: () => void): (() => void) => {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  };

  /** Keeps the stream open as long as somebody shows it. */
  hold = (): (() => void) => {
    this.readers += 1;
    this.stop ??= followPart('placed', this.take);
    return () => {
      this.readers -= 1;
      if (this.readers > 0) return;
      this.stop?.();
      this.stop = undefined;
      this.rows.clear();
      this.tell(NOTHING);
    };
  };

  take = (event: string, data: string): void => {
    if (event === 'snapshot') this.replace(JSON.parse(data) as PlacedSnapshot);
    else if (event === 'delta') this.merge(JSON.parse(data) as PlacedDelta);
  };

  private replace({ instances }: PlacedSnapshot): void {
    this.rows = new Map(instances.map((row) => [row.id, row]));
    this.tell({ byNode: grouped(instances), loaded: true });
  }

  private merge({ instances: { set, removed } }: PlacedDelta): void {
    const touched = new Set<string>();
    for (const id of removed) {
      touched.add(this.rows.get(id)?.node_id ?? '');
      this.rows.delete(id);
    }
    for (const row of set) {
      touched.add(this.rows.get(row.id)?.node_id ?? row.node_id).add(row.node_id);
      this.rows.set(row.id, row);
    }
    const byNode = new Map(this.placed.byNode);
    for (const node of touched) byNode.delete(node);
    const again = [...this.rows.values()].filter((row) => touched.has(row.node_id));
    for (const [node, rows] of grouped(again)) byNode.set(node, rows);
    this.tell({ byNode, loaded: true });
  }

  private tell(placed: Placed): void {
    this.placed = placed;
    for (const f of this.listeners) f();
  }
}

function grouped(rows: readonly PlacedInstance[]): Map<string, PlacedInstance[]> {
  const byNode = new Map<string, PlacedInstance[]>();
  for (const row of rows) {
    const known = byNode.get(row.node_id);
    if (known) known.push(row);
    else byNode.set(row.node_id, [row]);
  }
  return byNode;
}

const store = new PlacedStore();

/** What is known at this moment, without following it. */
export const placedNow = store.get;

/** The instances of all nodes, live while this is shown. */
export function usePlaced(): Placed {
  useEffect(store.hold, []);
  return useSyncExternalStore(store.subscribe, store.get);
}
