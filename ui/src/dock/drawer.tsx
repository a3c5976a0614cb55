// The drawer at the bottom of the page: its tabs survive navigation, its height is remembered.
import { ChevronDown, ChevronUp, FolderOpen, SquareTerminal, X } from 'lucide-react';
import { lazy, type PointerEvent, Suspense, useEffect, useRef, useState } from 'react';
import { say } from '../words';
import { closeTab, foldDock, showTab, type Tab, useDock } from './dock';
import css from './dock.module.css';
import { Terminal } from './terminal';

const Files = lazy(() => import('./files'));

const HEIGHT = 'tepui.dock.height';
const HEIGHT_MIN = 140;
const STEP = 40;

const heightMax = () => Math.max(HEIGHT_MIN, window.innerHeight - 160);
const within = (height: number) => Math.round(Math.min(Math.max(height, HEIGHT_MIN), heightMax()));

function useHeight(): [number, (height: number) => void] {
  const [height, setHeight] = useState(() => {
    const stored = Number(localStorage.getItem(HEIGHT));
    return within(stored > 0 ? stored : window.innerHeight * 0.4);
  });
  const put = (next: number) => {
    setHeight(within(next));
    localStorage.setItem(HEIGHT, String(within(next)));
  };
  useEffect(() => {
    const resized = () => setHeight((old) => within(old));
    window.addEventListener('resize', resized);
    return () => window.removeEventListener('resize', resized);
  }, []);
  return [height, put];
}

export default function Drawer() {
  const { tabs, current, folded } = useDock();
  const [height, setHeight] = useHeight();
  const bar = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // Out of the terminal, which takes every other key, and back into it.
    const leave = (event: KeyboardEvent) => {
      if (event.key !== 'F6') return;
      const tab = bar.current?.querySelector<HTMLElement>('[aria-selected="true"]');
      if (!tab) return;
      event.preventDefault();
      const within = document.activeElement?.closest('[role="tabpanel"]');
      if (within) tab.focus();
      else (document.querySelector<HTMLElement>(`.${css.pane}:not([hidden]) textarea`) ?? tab).focus();
    };
    window.addEventListener('keydown', leave);
    return () => window.removeEventListener('keydown', leave);
  }, []);

  const drag = (event: PointerEvent<HTMLDivElement>) => {
    const handle = event.currentTarget;
    const [from, before] = [event.clientY, height];
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (move) => setHeight(before + from - move.clientY);
    handle.onpointerup = handle.onpointercancel = () => {
      handle.onpointermove = null;
    };
  };
  const step = (key: string) => {
    if (key === 'ArrowUp') setHeight(height + STEP);
    else if (key === 'ArrowDown') setHeight(height - STEP);
    else return false;
    return true;
  };

  if (tabs.length === 0) return null;
  return (
    <section className={css.dock} aria-label={say('dock.label')}>
      {!folded && (
        <div
          className={css.handle}
          role="separator"
          aria-orientation="horizontal"
          aria-label={say('dock.height')}
          aria-valuenow={height}
          aria-valuemin={HEIGHT_MIN}
          aria-valuemax={heightMax()}
          tabIndex={0}
          onPointerDown={drag}
          onKeyDown={(event) => step(event.key) && event.preventDefault()}
        />
      )}
      <div className={css.bar} ref={bar}>
        <Tabs tabs={tabs} current={current} />
        {tabs.some((tab) => tab.key === current && tab.kind === 'shell') && (
          <span className={css.hint}>{say('dock.leave')}</span>
        )}
        <button
          type="button"
          className={css.tool}
          onClick={() => foldDock(!folded)}
          aria-expanded={!folded}
          aria-label={folded ? say('dock.unfold') : say('dock.fold')}
        >
          {folded ? <ChevronUp size={16} aria-hidden /> : <ChevronDown size={16} aria-hidden />}
        </button>
      </div>
      <div style={{ height }} hidden={folded}>
        {tabs.map((tab) => {
          const shown = tab.key === current && !folded;
          return (
            <div
              key={tab.key}
              id={`dock-${tab.key}`}
              className={css.pane}
              role="tabpanel"
              aria-labelledby={`tab-${tab.key}`}
              hidden={tab.key !== current}
            >
              {tab.kind === 'shell' ? (
                <Terminal tab={tab} shown={shown} />
              ) : (
                <Suspense>
                  <Files tab={tab} />
                </Suspense>
              )}
            </div>
          );
        })}
      </div>
    </section>
  );
}

function Tabs({ tabs, current }: { tabs: readonly Tab[]; current: string | undefined }) {
  const list = useRef<HTMLDivElement>(null);
  const move = (from: number, by: number) => {
    const next = tabs[(from + by + tabs.length) % tabs.length];
    if (!next) return;
    showTab(next.key);
    list.current?.querySelector<HTMLElement>(`#tab-${next.key}`)?.focus();
  };
  return (
    <div className={css.tabs}>
      <div className={css.list} role="tablist" aria-label={say('dock.label')} ref={list}>
        {tabs.map((tab, i) => {
          const Icon = tab.kind === 'shell' ? SquareTerminal : FolderOpen;
          return (
            <button
              key={tab.key}
              id={`tab-${tab.key}`}
              type="button"
              role="tab"
              className={css.tab}
              aria-selected={tab.key === current}
              aria-controls={`dock-${tab.key}`}
              tabIndex={tab.key === current ? 0 : -1}
              title={`${tab.app} ${tab.task}`}
              onClick={() => showTab(tab.key)}
              onKeyDown={(event) => {
                if (event.key === 'ArrowRight') move(i, 1);
                else if (event.key === 'ArrowLeft') move(i, -1);
                else if (event.key === 'Delete') closeTab(tab.key);
              }}
              onAuxClick={(event) => event.button === 1 && closeTab(tab.key)}
            >
              <Icon size={14} aria-hidden />
              <span className={css.app}>{tab.app}</span>
              <code>{tab.label}</code>
            </button>
          );
        })}
      </div>
      {tabs.map((tab) =>
        tab.key === current ? (
          <button
            key={tab.key}
            type="button"
            className={css.tool}
            onClick={() => closeTab(tab.key)}
            aria-label={tab.kind === 'shell' ? say('dock.closeShell', { id: tab.label }) : say('dock.closeFiles', { id: tab.label })}
            title={say('dialog.close')}
          >
            <X size={15} aria-hidden />
          </button>
        ) : null,
      )}
    </div>
  );
}
