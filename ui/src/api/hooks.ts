// How screens reach data: the live rows, and details that are read again when their row changes.
import { QueryClient, useQuery } from '@tanstack/react-query';
import { useMemo, useSyncExternalStore } from 'react';
import { ApiError, api } from './client';
import { live, type LiveState } from './live';
import type { AppSummary, NodeSummary } from './types';

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
  return live.onApps((changed) => {
    const ids = changed === 'all' ? undefined : new Set(changed);
    void queries.invalidateQueries({
      predicate: ({ queryKey: [kind, id] }) =>
        (kind === 'app' || kind === 'why') && (!ids || ids.has(String(id))),
    });
    void queries.invalidateQueries({ queryKey: ['node'] });
  });
}

export function useLive(): LiveState {
  return useSyncExternalStore(live.subscribe, live.current);
}

/** How often a detail is read again although no row said so: samples of resource use change. */
const SAMPLE_MS = 15_000;

/** All apps, sorted by id; stable until one changes. */
export function useApps(): AppSummary[] {
  const { apps } = useLive();
  return useMemo(() => [...apps.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), [apps]);
}

export function useNodes(): NodeSummary[] {
  const { nodes } = useLive();
  return useMemo(
    () => [...nodes.values()].sort((a, b) => a.host.localeCompare(b.host, 'en', { numeric: true })),
    [nodes],
  );
}

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

export function useNode(id: string) {
  return useQuery({
    queryKey: ['node', id],
    queryFn: ({ signal }) => api.node(id, signal),
    refetchInterval: SAMPLE_MS,
  });
}
