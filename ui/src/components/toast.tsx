// Short words about what an action did; read out politely, gone after a while.
import { X } from 'lucide-react';
import { useEffect, useSyncExternalStore } from 'react';
import { wording } from '../api/client';
import { say } from '../words';
import css from './toast.module.css';

interface Toast {
  id: number;
  text: string;
  lang?: 'en' | undefined;
  bad: boolean;
  action?: Action | undefined;
}

/** Something that can be done about it, such as to take it back. */
export interface Action {
  text: string;
  run: () => void;
}

const SHOWN_MS = 6_000;
/** Long enough to change one's mind. */
const ACTION_MS = 30_000;
let toasts: Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function put(next: Toast[]): void {
  toasts = next;
  for (const f of listeners) f();
}

function dismiss(id: number): void {
  put(toasts.filter((toast) => toast.id !== id));
}

export function toast(text: string, bad = false, action?: Action, lang?: 'en'): void {
  const id = nextId++;
  put([...toasts.slice(-2), { id, text, lang, bad, action }]);
  setTimeout(() => dismiss(id), action ? ACTION_MS : bad ? SHOWN_MS * 2 : SHOWN_MS);
}

/** That something failed, as it was said. */
export function toastFailure(error: unknown): void {
  const { text, lang } = wording(error);
  toast(text, true, undefined, lang);
}

function subscribe(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  const any = shown.length > 0;
  useEffect(() => {
    // What they lie over can be scrolled to above them.
    document.documentElement.toggleAttribute('data-toasts', any);
  }, [any]);
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {shown.map((item) => (
        <div key={item.id} className={`${css.toast} ${item.bad ? css.bad : ''}`}>
          <span lang={item.lang} className={css.text}>
            {item.text}
          </span>
          {item.action && (
            <button
              type="button"
              className={css.action}
              onClick={() => {
                dismiss(item.id);
                item.action?.run();
              }}
            >
              {item.action.text}
            </button>
          )}
          <button type="button" onClick={() => dismiss(item.id)} aria-label={say('toast.dismiss')}>
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
