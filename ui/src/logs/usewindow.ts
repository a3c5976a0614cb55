// The room there is, and the time it is.
import { useEffect, useState, useSyncExternalStore } from 'react';

const narrow = typeof matchMedia === 'undefined' ? undefined : matchMedia('(max-width: 719px)');
const AGE_MS = 5_000;

/** Whether the window is a phone's. */
export function useNarrow(): boolean {
  return useSyncExternalStore(
    (f) => {
      narrow?.addEventListener('change', f);
      return () => narrow?.removeEventListener('change', f);
    },
    () => narrow?.matches ?? false,
  );
}

/** The time, anew every few seconds where ages are shown; else the same one. */
export function useNow(ages: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!ages) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), AGE_MS);
    return () => clearInterval(timer);
  }, [ages]);
  return now;
}
