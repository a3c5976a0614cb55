// A live stream of one part of the cluster, for the view that shows it: it rests while its tab is not
// seen, so that a browser full of tabs has connections left, and comes back by itself.
import { ApiError } from './client';
import { readEvents } from './sse';

const SILENCE_MS = 40_000;
/** A tab that is not seen for this long gives its stream up. */
const REST_AFTER_MS = 10_000;
const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

/** Hands every event of the part `of` over until the returned function is called. What is refused is told once. */
export function followPart(
  of: string,
  take: (event: string, data: string) => void,
  refused: (error: ApiError) => void = () => undefined,
): () => void {
  const end = new AbortController();
  const { signal } = end;
  const path = `/tepui/v1/events?${new URLSearchParams({ of })}`;
  let lastEventId: string | undefined;
  let failures = 0;
  const read = async () => {
    while (!signal.aborted) {
      await untilSeen(signal);
      if (signal.aborted) return;
      const rest = new AbortController();
      const stop = whenUnseen(() => rest.abort());
      const options = { ...(lastEventId !== undefined && { lastEventId }), signal: AbortSignal.any([signal, rest.signal]), silenceMs: SILENCE_MS };
      try {
        await readEvents(path, options, ({ event, data, id }) => {
          failures = 0;
          lastEventId = id ?? lastEventId;
          take(event, data);
        });
      } catch (error) {
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
          if (!signal.aborted) refused(error);
          return;
        }
        // Whatever else ended it, the answer is to try again.
      } finally {
        stop();
      }
      await pause(BACKOFF_MS[Math.min(failures, BACKOFF_MS.length - 1)] ?? 15_000, signal);
      failures += 1;
    }
  };
  void read();
  return () => end.abort();
}

const isSeen = () => document.visibilityState === 'visible';

function untilSeen(signal: AbortSignal): Promise<void> {
  if (isSeen()) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (!isSeen() && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}

/** Calls `f` when the tab has not been seen for a while; returns the way to stop looking. */
function whenUnseen(f: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (!isSeen()) timer = setTimeout(f, REST_AFTER_MS);
  };
  document.addEventListener('visibilitychange', look);
  return () => {
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms * (0.75 + Math.random() / 2));
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
