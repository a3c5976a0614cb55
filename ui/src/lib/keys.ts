// Keyboard shortcuts: single keys, "g x" sequences and mod+key; silent while typing.
import { useEffect, useRef } from 'react';

type Bindings = Record<string, () => void>;

const SEQUENCE_MS = 1_200;
const PREFIX = 'g';

/** Every key that went down last, and when: shared, so that a list knows of a sequence too. */
let pressed = '';
let pressedAt = 0;

/** Whether the present key is the second one of a sequence. */
export function inSequence(): boolean {
  return pressed === PREFIX && Date.now() - pressedAt < SEQUENCE_MS;
}

export function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
      (target instanceof HTMLInputElement && !/^(checkbox|radio|button)$/.test(target.type)))
  );
}

/** Remembers what was pressed, after everybody has had his turn. */
function remember(event: KeyboardEvent): void {
  const mod = event.ctrlKey || event.metaKey || event.altKey;
  pressed = mod || typing(event.target) || inSequence() ? '' : event.key;
  pressedAt = Date.now();
}

let users = 0;

export function useKeys(bindings: Bindings): void {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      const mod = event.ctrlKey || event.metaKey;
      if (event.altKey || (mod && event.key !== 'k')) return;
      if (!mod && (typing(event.target) || document.querySelector('dialog[open], [role=menu]'))) return;
      const name = mod ? `mod+${event.key}` : inSequence() ? `${PREFIX} ${event.key}` : event.key;
      const action = current.current[name];
      if (!action) return;
      event.preventDefault();
      // Here, not in `remember`: what the action draws may be drawn before that is called.
      pressed = '';
      action();
    };
    window.addEventListener('keydown', down);
    // The last to hear of it: each later user moves it to the end again.
    window.removeEventListener('keydown', remember);
    window.addEventListener('keydown', remember);
    users += 1;
    return () => {
      window.removeEventListener('keydown', down);
      users -= 1;
      if (users === 0) window.removeEventListener('keydown', remember);
    };
  }, []);
}
