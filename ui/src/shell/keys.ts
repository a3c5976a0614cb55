// Keyboard shortcuts: single keys, "g x" sequences and mod+key; silent while typing.
import { useEffect, useRef } from 'react';

type Bindings = Record<string, () => void>;

const SEQUENCE_MS = 1_200;

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

export function useKeys(bindings: Bindings): void {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    let prefix = '';
    let at = 0;
    const down = (event: KeyboardEvent) => {
      const mod = event.ctrlKey || event.metaKey;
      if (event.altKey || (mod && event.key !== 'k')) return;
      if (!mod && (typing(event.target) || document.querySelector('dialog[open]'))) return;
      const recent = Date.now() - at < SEQUENCE_MS ? prefix : '';
      const name = mod ? `mod+${event.key}` : recent ? `${recent} ${event.key}` : event.key;
      prefix = event.key === 'g' && !mod ? 'g' : '';
      at = Date.now();
      const action = current.current[name];
      if (!action) return;
      event.preventDefault();
      prefix = '';
      action();
    };
    window.addEventListener('keydown', down);
    return () => window.removeEventListener('keydown', down);
  }, []);
}
