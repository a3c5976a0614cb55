// Opening and closing of every modal, and where the focus is before and after.
import { type RefObject, useLayoutEffect } from 'react';

/** Where the focus goes when what opened the modal is gone: the page's heading. */
function fallback(): HTMLElement | null {
  return document.querySelector<HTMLElement>('main h1') ?? document.querySelector<HTMLElement>('main');
}

/** What was used to open it; of a menu, which closes meanwhile, its button. */
function opener(): HTMLElement | null {
  const active = document.activeElement;
  const menu = active?.closest('[role=menu]');
  const button = menu && document.getElementById(menu.getAttribute('aria-labelledby') ?? '');
  const found = button ?? active;
  return found instanceof HTMLElement && found !== document.body ? found : null;
}

/**
 * Shows a dialog as a modal while its component lives. A layout effect, not a passive one: closing
 * must come before the element leaves the page, or the browser cannot give the focus back.
 * `data-first` marks what has the focus at the start.
 */
export function useModal(ref: RefObject<HTMLDialogElement | null>): void {
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    const before = opener();
    dialog.showModal();
    const first = dialog.querySelector<HTMLElement>('[data-first]');
    if (first) first.focus();
    // What the browser chose may stand at the end of a long text, which is read from its beginning.
    else dialog.scrollTop = 0;
    return () => {
      dialog.close();
      const active = document.activeElement;
      if (active && active !== document.body && !dialog.contains(active)) return;
      (before?.isConnected ? before : fallback())?.focus();
      // A menu that closes at the same time may take the focus down with it.
      setTimeout(() => {
        if (document.activeElement === document.body) (before?.isConnected ? before : fallback())?.focus();
      });
    };
  }, [ref]);
}
