// One box that leads to any service, node or page.
import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { useRows } from '../api/hooks';
import { useModal } from '../components/modal';
import { Mark } from '../components/status';
import { appHref } from '../lib/format';
import { appLook, type Look, nodeLook } from '../lib/status';
import css from './palette.module.css';

interface Entry {
  href: string;
  text: string;
  kind: string;
  look?: Look;
}

const SHOWN = 12;
const PAGES: Entry[] = [
  { href: '/', text: 'Dashboard', kind: 'Page' },
  { href: '/services', text: 'Services', kind: 'Page' },
  { href: '/services/create', text: 'Run a service', kind: 'Page' },
  { href: '/nodes', text: 'Nodes', kind: 'Page' },
  { href: '/deployments', text: 'Deployments', kind: 'Page' },
];

/** Lower is better; undefined when the words do not all occur. Name starts beat inner hits. */
function rank(text: string, words: string[]): number | undefined {
  const low = text.toLowerCase();
  let score = low.length / 1000;
  for (const word of words) {
    const at = low.indexOf(word);
    if (at < 0) return undefined;
    score += at === 0 || '/ .-_'.includes(low[at - 1] ?? '') ? 0 : 1;
  }
  return score;
}

/** Words in front of a service's name that lead to one of its views. */
const VIEWS: Record<string, string> = {
  log: 'logs',
  logs: 'logs',
  why: 'why',
  config: 'config',
  configuration: 'config',
};

/** The view that is asked for, if any, and the words to look for. */
function parse(query: string): [string | undefined, string[]] {
  const [first = '', ...rest] = query.toLowerCase().split(/\s+/).filter(Boolean);
  const verb = rest.length > 0 ? VIEWS[first] : undefined;
  return verb ? [verb, rest] : [undefined, first ? [first, ...rest] : []];
}

export function Palette({ onClose }: { onClose: () => void }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const [, go] = useLocation();
  const apps = useRows('apps');
  const nodes = useRows('nodes');
  useModal(ref);
  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [id, at]);

  const [verb, words] = parse(query);
  const all: Entry[] = [
    ...(verb ? [] : PAGES),
    ...apps.map((app) => ({ href: appHref(app.id, verb), text: app.id, kind: 'Service', look: appLook(app.condition) })),
    ...(verb
      ? []
      : nodes.map((node) => ({ href: `/nodes/${node.id}`, text: node.host, kind: 'Node', look: nodeLook(node.condition) }))),
  ];
  const found = all
    .map((entry) => ({ entry, score: rank(entry.text, words) }))
    .filter((hit): hit is { entry: Entry; score: number } => hit.score !== undefined)
    .sort((a, b) => (words.length ? a.score - b.score : 0))
    .slice(0, SHOWN)
    .map((hit) => hit.entry);

  const open = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    go(entry.href);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt((at + 1) % Math.max(1, found.length));
    else if (event.key === 'ArrowUp') setAt((at - 1 + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') open(found[at]);
    else return;
    event.preventDefault();
  };

  return (
    <dialog
      ref={ref}
      className={css.palette}
      aria-label="Search"
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === ref.current && onClose()}
    >
      <input
        className={css.input}
        value={query}
        onChange={(event) => {
          setQuery(event.target.value);
          setAt(0);
        }}
        onKeyDown={key}
        placeholder="Service, node or page; logs, why or config before a service"
        aria-label="Search services, nodes and pages"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
        autoComplete="off"
        data-first
      />
      <div id={`${id}-list`} role="listbox" aria-label="Results" className={css.list}>
        {found.map((entry, i) => (
          <div
            key={entry.href}
            id={`${id}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at}
            className={css.entry}
            onMouseMove={() => setAt(i)}
            onClick={() => open(entry)}
          >
            <span className={css.entryMark}>{entry.look && <Mark look={entry.look} />}</span>
            <span className="truncate">{entry.text}</span>
            <span className={css.kind}>{entry.look ? `${entry.kind} · ${entry.look.word}` : entry.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={css.none}>Nothing is called “{query}”.</p>}
    </dialog>
  );
}
