// A square for each instance: as many as there are, in the room of a few rows.
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from 'react';
import type { Instance } from '../api/types';
import { Mark } from '../components/status';
import { shortTask } from '../lib/format';
import { instanceLook, type Look, uncapital } from '../lib/status';
import { number, say } from '../words';
import css from './waffle.module.css';

/** Up to so many have a shape in them, and up to so many are large enough to be hit with ease. */
const SHAPES_MAX = 60;
const MIDDLE_MAX = 300;
/** Drawn one by one; of more the rest is a number. */
const DRAWN_MAX = 2000;

export interface Tally {
  look: Look;
  n: number;
}

/** How many there are of each look, the worst first. */
export function tally(instances: readonly Instance[]): Tally[] {
  const order: Look['tone'][] = ['bad', 'attention', 'moving', 'neutral', 'good'];
  const found = new Map<string, Tally>();
  for (const instance of instances) {
    const look = instanceLook(instance);
    const known = found.get(look.word);
    if (known) known.n += 1;
    else found.set(look.word, { look, n: 1 });
  }
  return [...found.values()].sort((a, b) => order.indexOf(a.look.tone) - order.indexOf(b.look.tone) || b.n - a.n);
}

export interface Group {
  name: string;
  instances: Instance[];
}

/** By node when asked for, else all in one; the order is that of the nodes' names and stays. */
export function grouped(instances: readonly Instance[], byNode: boolean): Group[] {
  const place = (instance: Instance) => instance.host ?? '';
  const sorted = [...instances].sort(
    (a, b) => place(a).localeCompare(place(b), 'en', { numeric: true }) || a.id.localeCompare(b.id),
  );
  if (!byNode) return [{ name: '', instances: sorted }];
  const groups = new Map<string, Instance[]>();
  for (const instance of sorted) {
    const name = place(instance) || say('squares.noPlace');
    groups.set(name, [...(groups.get(name) ?? []), instance]);
  }
  return [...groups].map(([name, instances]) => ({ name, instances }));
}

/** Where an arrow key leads in a row of `n` with so many beside each other. */
export function moved(key: string, at: number, n: number, perRow: number): number | undefined {
  const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow };
  if (key === 'Home') return 0;
  if (key === 'End') return n - 1;
  const step = by[key];
  if (step === undefined) return undefined;
  return Math.min(n - 1, Math.max(0, at + step));
}

export function Waffle({
  instances,
  mixed,
  byNode,
  about,
}: {
  instances: readonly Instance[];
  /** Instances of an earlier definition run beside those of the present one. */
  mixed?: boolean;
  byNode: boolean;
  /** What is told of the instance that is chosen. */
  about: (instance: Instance) => ReactNode;
}) {
  const [chosen, setChosen] = useState<string>();
  const box = useRef<HTMLDivElement>(null);
  const groups = useMemo(() => grouped(instances.slice(0, DRAWN_MAX), byNode), [instances, byNode]);
  const all = groups.flatMap((group) => group.instances);
  const instance = all.find(({ id }) => id === chosen);
  const size = all.length <= SHAPES_MAX ? 'large' : all.length <= MIDDLE_MAX ? 'middle' : 'small';
  const focusable = instance?.id ?? all[0]?.id;

  const onKeyDown = (event: KeyboardEvent) => {
    const cells = [...(box.current?.querySelectorAll<HTMLElement>('[role=option]') ?? [])];
    const at = cells.indexOf(document.activeElement as HTMLElement);
    if (at < 0) return;
    const top = cells[at]?.offsetTop;
    const to = moved(event.key, at, cells.length, cells.filter((cell) => cell.offsetTop === top).length);
    if (event.key === 'Escape') setChosen(undefined);
    if (to === undefined) return;
    event.preventDefault();
    setChosen(cells[to]?.dataset.instance);
    cells[to]?.focus();
  };
  return (
    <>
      <ul className={css.tally}>
        {tally(instances).map(({ look, n }) => (
          <li key={look.word}>
            <Mark look={look} />
            <span className="nums">{number(n)}</span> {uncapital(look.word)}
          </li>
        ))}
        {mixed && (
          <li>
            <i className={`${css.sample} ${css.newest}`} aria-hidden /> {say('squares.newVersion')}
          </li>
        )}
      </ul>
      <div
        ref={box}
        role="listbox"
        aria-label={say('list.instances')}
        aria-orientation="horizontal"
        className={`${css.waffle} ${css[size]}`}
        onKeyDown={onKeyDown}
      >
        {groups.map((group) => (
          <div key={group.name} role="group" aria-label={group.name || say('dash.all')} className={css.group}>
            {group.name && <span className={css.node}>{group.name}</span>}
            {group.instances.map((one) => {
              const look = instanceLook(one);
              const what = `${shortTask(one)}, ${look.word}`;
              const name = one.host ? say('squares.on', { what, host: one.host }) : what;
              return (
                <div
                  key={one.id}
                  role="option"
                  aria-selected={one.id === chosen}
                  aria-label={name}
                  title={name}
                  tabIndex={one.id === focusable ? 0 : -1}
                  data-instance={one.id}
                  className={`${css.cell} ${css[look.tone]} ${mixed && !one.outdated ? css.newest : ''}`}
                  onClick={() => setChosen(one.id)}
                  onFocus={() => setChosen(one.id)}
                >
                  {size === 'large' && <Mark look={look} />}
                </div>
              );
            })}
          </div>
        ))}
      </div>
      {instances.length > DRAWN_MAX && (
        <p className="muted">{say('squares.notDrawn', { n: instances.length - DRAWN_MAX })}</p>
      )}
      <div className={css.about} aria-live="polite">
        {instance && about(instance)}
      </div>
    </>
  );
}
