// The past as screens read it: pages of records with what is newer put before them, and crash loops
// folded into one row.
import { useCallback, useEffect, useRef, useState } from 'react';
import { type HistoryAsk, api } from '../api/client';
import type { HistoryRecord } from '../api/types';

/** How often it is asked for what is newer: an answer without news takes some hundred bytes. */
const NEWS_MS = 5_000;
const PAGE = 100;
/** Records that a page which stays open keeps; each page of older ones that is asked for adds to it. */
const KEPT = 2 * PAGE;

export interface Past {
  records: HistoryRecord[];
  /** Where older ones go on. */
  next?: string | undefined;
  since?: string | undefined;
  dropped: boolean;
  pending: boolean;
  error?: unknown;
  more: () => Promise<void>;
  retry: () => void;
}

/** Records that match, newest first; what happens meanwhile comes by itself unless `still`. */
export function usePast(ask: HistoryAsk, still = false): Past {
  const [state, setState] = useState<Omit<Past, 'more' | 'retry'>>({
    records: [],
    dropped: false,
    pending: true,
  });
  const [round, setRound] = useState(0);
  const key = JSON.stringify(ask);
  // The newest cursor that was seen; what is asked for next stands behind it.
  const newest = useRef<string>(undefined);
  const kept = useRef(KEPT);

  useEffect(() => {
    const stop = new AbortController();
    const asked = JSON.parse(key) as HistoryAsk;
    newest.current = undefined;
    kept.current = KEPT;
    setState((old) => ({ ...old, pending: true, error: undefined }));
    const begin = async () => {
      try {
        const page = await api.history({ ...asked, limit: PAGE }, stop.signal);
        newest.current = page.records[0]?.cursor ?? '0-1';
        setState({ ...page, pending: false });
      } catch (error) {
        if (!stop.signal.aborted) setState({ records: [], dropped: false, pending: false, error });
      }
    };
    const news = async () => {
      const after = newest.current;
      if (after === undefined || document.hidden) return;
      try {
        const page = await api.history({ ...asked, after, limit: PAGE }, stop.signal);
        if (page.records.length === 0) return;
        // More than a page came meanwhile: what lies between would be missing.
        if (page.next) return void begin();
        newest.current = page.records[0]?.cursor ?? after;
        setState((old) => ({ ...old, ...preceded(old, page.records, kept.current) }));
      } catch {
        // The connection's own banner says that the server is away.
      }
    };
    void begin();
    const timer = still ? undefined : setInterval(() => void news(), NEWS_MS);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [key, still, round]);

  const { next } = state;
  const more = useCallback(async () => {
    if (!next) return;
    const page = await api.history({ ...(JSON.parse(key) as HistoryAsk), before: next, limit: PAGE });
    kept.current += PAGE;
    setState((old) => ({ ...old, ...page, records: [...old.records, ...page.records] }));
  }, [key, next]);
  return { ...state, more, retry: () => setRound((n) => n + 1) };
}

/** Records with newer ones before them; of many the oldest are left out, and can be asked for again. */
export function preceded(old: Pick<Past, 'records' | 'next'>, newer: HistoryRecord[], kept: number): Pick<Past, 'records' | 'next'> {
  const all = [...newer, ...old.records];
  if (all.length <= kept) return { records: all, next: old.next };
  const records = all.slice(0, kept);
  return { records, next: records.at(-1)?.cursor };
}

/** One row: a record, or the attempts of a crash loop, newest first. */
export interface Row {
  id: string;
  records: HistoryRecord[];
}

/** Failed attempts of one service with nothing else of that service between them are one row. */
export function folded(records: readonly HistoryRecord[]): Row[] {
  const rows: Row[] = [];
  const loops = new Map<string, Row>();
  for (const record of records) {
    const of = record.of ?? '';
    const isCrash = record.kind === 'attempt' && record.bad;
    const loop = loops.get(of);
    if (isCrash && loop) {
      loop.records.push(record);
      continue;
    }
    const row = { id: record.cursor, records: [record] };
    rows.push(row);
    if (isCrash) loops.set(of, row);
    else loops.delete(of);
  }
  return rows;
}

/** The cursor behind a record, so that a page begins with it. */
export function behind(cursor: string): string {
  const [revision, n] = cursor.split('-');
  return `${revision}-${Number(n) + 1}`;
}
