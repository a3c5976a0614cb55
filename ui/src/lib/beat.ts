// What moves, moves in two frames: one attribute of the document that changes with each second, and
// only while somebody looks. An endless animation draws sixty frames a second to say the same.
import { useEffect } from 'react';

const BEAT_MS = 1_000;

/** Keeps `data-beat` of the document going while the page is seen and motion is welcome. */
export function useBeat(): void {
  useEffect(() => {
    if (window.matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    const root = document.documentElement;
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      // Nothing moves: nothing is drawn anew.
      if (!document.querySelector('[data-moving]')) return;
      root.toggleAttribute('data-beat');
    }, BEAT_MS);
    return () => {
      clearInterval(timer);
      root.removeAttribute('data-beat');
    };
  }, []);
}
