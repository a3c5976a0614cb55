// Short words about what an action did; read out politely, gone after a while.
import { X } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import css from './toast.module.css';

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const SHOWN_MS = 6_000;
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

export function toast(text: string, bad = false): void {
  const id = nextId++;
  put([...toasts.slice(-2), { id, text, bad }]);
  setTimeout(() => dismiss(id), bad ? SHOWN_MS * 2 : SHOWN_MS);
}

function subscribe(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className={css.toasts} role="status" aria-live="polite">
      {shown.map((item) => (
        <div key={item.id} className={`${css.toast} ${item.bad ? css.bad : ''}`}>
          <span>{item.text}</span>
          <button type="button" onClick={() => dismiss(item.id)} aria-label="Dismiss">
            <X size={14} aria-hidden />
          </button>
        </div>
      ))}
    </div>
  );
}
