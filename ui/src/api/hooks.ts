// How screens reach data: the live rows, and details that are read again when their row changes.
import { QueryClient, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';
import { ApiError, api } from './client';
import { type Connection, live } from './live';
import type { Kind, Row } from './store';
import type { Status } from './types';

const { status, tables } = live.store;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        failures < 3 && (!(error instanceof ApiError) || error.unreachable || error.status >= 500),
    },
  },
});

/** Keeps cached details in step with the stream; returns the way to stop. */
export function followLive(): () => void {
  return tables.apps.subscribe((changed) => {
    void queries.invalidateQueries({
      predicate: ({ queryKey: [kind, id] }) =>
        (kind === 'app' || kind === 'why') &&
        (changed === 'all' || changed.has(String(id))),
    });
  });
}

export function useConnection(): Connection {
  return useSyncExternalStore(live.connection.subscribe, live.connection.get);
}

/** Something about the status; renders when that is another value. */
export function useStatus<T>(select: (status: Status | undefined) => T): T {
  return useSyncExternalStore(status.subscribe, () => select(status.get()));
}

/** Whether anything has been told yet, so that empty lists mean that there is nothing. */
export function useLoaded(): boolean {
  return useStatus((known) => known !== undefined);
}

/** All rows of a kind, in order; the same array until one is another. */
export function useRows<K extends Kind>(kind: K): readonly Row<K>[] {
  return useSyncExternalStore(tables[kind].subscribe, tables[kind].all);
}

/** Something about all rows of a kind, such as their number; renders when that is another value. */
export function useFromRows<K extends Kind, T>(kind: K, select: (rows: readonly Row<K>[]) => T): T {
  return useSyncExternalStore(tables[kind].subscribe, () => select(tables[kind].all()));
}

/** One row; renders when it comes, goes or is another one. */
export function useRow<K extends Kind>(kind: K, id: string): Row<K> | undefined {
  const subscribe = useCallback((f: () => void) => tables[kind].subscribeTo(id, f), [kind, id]);
  return useSyncExternalStore(subscribe, () => tables[kind].get(id));
}

/** When the newest of some services became what it is. */
export const newest = (apps: readonly { updated_at: string }[]) =>
  apps.reduce((latest, { updated_at: at }) => (at > latest ? at : latest), `${apps.length}`);

/** What comes at once is asked for once. */
const RENEW_MS = 1_500;

/** Asks for `key` again some time after `what` has become another value, and never while it stays the same. */
export function useRenewed(key: readonly string[], what: string): void {
  const first = useRef(what);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (what === first.current) return;
    first.current = what;
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      void queries.invalidateQueries({ queryKey: [...key] });
    }, RENEW_MS);
  }, [key, what]);
}

/** How often a detail is read again although no row said so: samples of resource use change. */
const SAMPLE_MS = 15_000;

export function useApp(id: string) {
  return useQuery({
    queryKey: ['app', id],
    queryFn: ({ signal }) => api.app(id, signal),
    refetchInterval: SAMPLE_MS,
  });
}

export function useWhy(id: string, enabled = true) {
  return useQuery({
    queryKey: ['why', id],
    queryFn: ({ signal }) => api.why(id, signal),
    enabled,
    // A waiting app's row may stay the same while the nodes around it change.
    refetchInterval: 10_000,
  });
}
