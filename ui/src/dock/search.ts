// A search through a file of any length: its node looks through a part at a time, and what is found comes
// meanwhile. It ends when nobody wants it any more.
import { useCallback, useEffect, useRef, useState } from 'react';
import { api } from '../api/client';
import type { FileHit } from '../api/types';
import { asking } from '../lib/pattern';

/** Lines of one answer, and those found before somebody is asked whether he wants more. */
const PART = 200;
const HITS_MAX = 1_000;

export interface Search {
  pattern: string;
  cased: boolean;
  hits: readonly FileHit[];
  /** How far it is, in bytes, and the line there. */
  offset: number;
  line: number;
  size: number;
  state: 'running' | 'stopped' | 'done' | 'failed';
  error?: unknown;
}

const begun = (pattern: string, cased: boolean): Search => ({
  pattern,
  cased,
  hits: [],
  offset: 0,
  line: 1,
  size: 0,
  state: 'running',
});

export interface Searching {
  search: Search | undefined;
  /** Looks for another pattern; for nothing when there is none. */
  look: (pattern: string, cased: boolean) => void;
  stop: () => void;
  /** Goes on where it was stopped, or was full. */
  goOn: () => void;
}

export function useFileSearch(task: string, path: string): Searching {
  const [search, setSearch] = useState<Search>();
  const run = useRef<AbortController>(undefined);
  useEffect(() => () => run.current?.abort(), []);

  const follow = useCallback(
    async (from: Search) => {
      run.current?.abort();
      const { signal } = (run.current = new AbortController());
      const most = from.hits.length + HITS_MAX;
      let now: Search = { ...from, state: 'running', error: undefined };
      setSearch(now);
      try {
        while (now.state === 'running') {
          now = await further(task, path, now, most, signal);
          if (signal.aborted) return;
          setSearch(now);
        }
      } catch (error) {
        if (!signal.aborted) setSearch({ ...now, state: 'failed', error });
      }
    },
    [task, path],
  );
  return {
    search,
    look: (pattern, cased) => {
      run.current?.abort();
      if (pattern) void follow(begun(pattern, cased));
      else setSearch(undefined);
    },
    stop: () => {
      run.current?.abort();
      setSearch((old) => old && { ...old, state: 'stopped' });
    },
    goOn: () => search && void follow(search),
  };
}

/** The next part of the file. */
async function further(task: string, path: string, now: Search, most: number, signal: AbortSignal): Promise<Search> {
  const limit = Math.min(PART, most - now.hits.length);
  const query = {
    path,
    grep: asking(now.pattern, now.cased),
    offset: `${now.offset}`,
    line: `${now.line}`,
    limit: `${limit}`,
  };
  const { hits: more, offset, line, size_bytes: size } = await api.searchFile(task, query, signal);
  const hits = [...now.hits, ...more];
  // An end that does not move is one, whatever the file became meanwhile.
  const done = offset >= size || offset <= now.offset;
  return { ...now, hits, offset, line, size, state: done ? 'done' : hits.length >= most ? 'stopped' : 'running' };
}
