// What stands around the list of services: conditions to filter by, its look, changes of many.
import { PanelRight, SlidersHorizontal } from 'lucide-react';
import { useMemo } from 'react';
import type { AppSummary } from '../api/types';
import { Menu, type MenuItem } from '../components/menu';
import { Mark } from '../components/status';
import { density } from '../components/table';
import { Button } from '../components/ui';
import { lookOf, SEVERITY } from '../lib/status';
import { oneOf, Stored, texts, useStored } from '../lib/stored';
import { number, say } from '../words';
import type { BulkAsk } from './bulk';
import css from './services.module.css';

export const layout = new Stored<'groups' | 'flat'>('services.layout', 'groups', oneOf('groups', 'flat'));
export const hiddenColumns = new Stored<string[]>('services.hidden', ['ports'], texts);
export const panel = new Stored<'on' | 'off'>('services.panel', 'off', oneOf('on', 'off'));

/** What can be done to all services of a group. */
export function groupMenu(only: () => void, ask: (what: BulkAsk) => void): MenuItem[][] {
  return [
    [{ text: say('group.only'), onSelect: only }],
    [
      { text: say('bulk.scale…'), keys: 's', onSelect: () => ask('scale') },
      { text: say('bulk.restart…'), keys: 'r', onSelect: () => ask('restart') },
      { text: say('bulk.suspend…'), onSelect: () => ask('suspend') },
    ],
    [{ text: say('group.delete…'), keys: 'd', danger: true, onSelect: () => ask('delete') }],
  ];
}

/** One button per condition that occurs. */
export function Conditions({
  apps,
  query,
  onQuery,
}: {
  apps: readonly AppSummary[];
  query: string;
  onQuery: (query: string) => void;
}) {
  const counts = useMemo(() => {
    const all = new Map<string, number>();
    for (const app of apps) all.set(app.condition, (all.get(app.condition) ?? 0) + 1);
    return all;
  }, [apps]);
  const words = query.split(/\s+/).filter(Boolean);
  const toggle = (word: string) =>
    onQuery(
      words.includes(word)
        ? words.filter((w) => w !== word).join(' ')
        : [...words.filter((w) => !w.startsWith('is:')), word].join(' '),
    );
  return (
    <div className={css.chips} role="group" aria-label={say('services.byStatus')}>
      {SEVERITY.filter((condition) => counts.has(condition)).map((condition) => {
        const word = `is:${condition}`;
        const look = lookOf(condition);
        return (
          <button key={condition} type="button" aria-pressed={words.includes(word)} onClick={() => toggle(word)}>
            <Mark look={look} />
            {look.word}
            <span className="nums">{number(counts.get(condition) ?? 0)}</span>
          </button>
        );
      })}
    </div>
  );
}

/** How the list looks: groups, density, columns, the panel beside it. */
export function Layout({ beside }: { beside: boolean }) {
  const grouped = useStored(layout) === 'groups';
  const dense = useStored(density) === 'dense';
  const hidden = useStored(hiddenColumns);
  const optional = [
    ['cpus', say('list.cpu')],
    ['load', say('list.load')],
    ['mem', say('list.memory')],
    ['runs', say('list.runs')],
    ['ports', say('list.ports')],
    ['updated', say('list.changed')],
  ] as const;
  return (
    <span className={css.layout}>
      <Menu
        heading={say('layout.heading')}
        groups={() => [
          [
            { text: say('layout.groups'), checked: grouped, onSelect: () => layout.put(grouped ? 'flat' : 'groups') },
            { text: say('layout.dense'), checked: dense, onSelect: () => density.put(dense ? 'normal' : 'dense') },
          ],
          optional.map(([id, text]) => ({
            text,
            checked: !hidden.includes(id),
            onSelect: () => hiddenColumns.put(hidden.includes(id) ? hidden.filter((other) => other !== id) : [...hidden, id]),
          })),
        ]}
        trigger={
          <button type="button" className={css.tool} aria-label={say('layout.label')} title={say('layout.label')}>
            <SlidersHorizontal size={16} aria-hidden />
          </button>
        }
      />
      <button
        type="button"
        className={`${css.tool} ${css.panelTool}`}
        aria-pressed={beside}
        aria-label={say('layout.panel')}
        title={say('layout.panel')}
        onClick={() => panel.put(beside ? 'off' : 'on')}
      >
        <PanelRight size={16} aria-hidden />
      </button>
    </span>
  );
}

/** What can be done to everything that is selected. */
export function BulkBar({ n, onAsk, onClear }: { n: number; onAsk: (what: BulkAsk) => void; onClear: () => void }) {
  return (
    <div className={css.bulk} role="region" aria-label={say('bulk.label')}>
      <strong role="status">{say('bulk.selected', { n })}</strong>
      <Button onClick={() => onAsk('scale')}>{say('bulk.scale…')}</Button>
      <Button onClick={() => onAsk('restart')}>{say('bulk.restart…')}</Button>
      <Button onClick={() => onAsk('suspend')}>{say('bulk.suspend…')}</Button>
      <Button kind="danger" onClick={() => onAsk('delete')}>
        {say('bulk.delete…')}
      </Button>
      <Button kind="quiet" onClick={onClear}>
        {say('bulk.clear')}
      </Button>
    </div>
  );
}
