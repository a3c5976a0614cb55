// What stands open at the bottom of the page: terminals and files of instances. Loaded with the shell,
// so it only keeps the list; what a tab shows is fetched when the first one is opened.
import { useSyncExternalStore } from 'react';
import type { Instance } from '../api/types';
import { shortTask } from '../lib/format';

export type Kind = 'shell' | 'files';

export interface Tab {
  key: string;
  kind: Kind;
  /** The task, or the instance where it has none yet. */
  task: string;
  app: string;
  label: string;
  /** A session that may still wait for its page. */
  session?: string | undefined;
}

export interface Dock {
  tabs: readonly Tab[];
  current?: string | undefined;
  folded: boolean;
  /** Whether this user may open shells; the server has the last word. */
  mayWrite: boolean;
}

const STORED = 'tepui.dock';
const TABS_MAX = 12;

let dock: Dock = { tabs: [], folded: false, mayWrite: false, ...stored() };
const listeners = new Set<() => void>();

/** Tabs of this window before it was loaded anew: their sessions wait for a minute. */
function stored(): Partial<Dock> {
  try {
    const { tabs, current } = JSON.parse(sessionStorage.getItem(STORED) ?? '{}') as Partial<Dock>;
    return Array.isArray(tabs) ? { tabs: tabs.slice(0, TABS_MAX), current } : {};
  } catch {
    return {};
  }
}

function put(next: Partial<Dock>): void {
  dock = { ...dock, ...next };
  try {
    sessionStorage.setItem(STORED, JSON.stringify({ tabs: dock.tabs, current: dock.current }));
  } catch {
    // A window that may store nothing only forgets its tabs.
  }
  for (const f of listeners) f();
}

export function useDock(): Dock {
  return useSyncExternalStore(
    (f) => {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    () => dock,
  );
}

export function allowShells(mayWrite: boolean): void {
  if (dock.mayWrite !== mayWrite) put({ mayWrite });
}

/** Opens a tab; files of one instance only once, shells as often as asked. */
export function openTab(kind: Kind, task: Instance): void {
  const id = task.task_id ?? task.id;
  const old = dock.tabs.find((tab) => tab.kind === 'files' && kind === 'files' && tab.task === id);
  if (old) {
    put({ current: old.key, folded: false });
    return;
  }
  const tab: Tab = { key: `${kind}-${Date.now().toString(36)}`, kind, task: id, app: task.app_id, label: shortTask(task) };
  put({ tabs: [...dock.tabs.slice(1 - TABS_MAX), tab], current: tab.key, folded: false });
}

export function showTab(key: string): void {
  put({ current: key, folded: false });
}

export function foldDock(folded: boolean): void {
  put({ folded });
}

export function keepSession(key: string, session: string | undefined): void {
  put({ tabs: dock.tabs.map((tab) => (tab.key === key ? { ...tab, session } : tab)) });
}

export function closeTab(key: string): void {
  const at = dock.tabs.findIndex((tab) => tab.key === key);
  const tabs = dock.tabs.filter((tab) => tab.key !== key);
  const current = dock.current === key ? (tabs[at] ?? tabs[at - 1])?.key : dock.current;
  put({ tabs, current });
}
