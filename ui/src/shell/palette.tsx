// One box that leads to any service, node or page, and does what a verb before a name says.
import { type KeyboardEvent, useEffect, useId, useMemo, useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { useLoaded, useRows } from '../api/hooks';
import { useModal } from '../components/modal';
import { Mark } from '../components/status';
import { Stored, texts } from '../lib/stored';
import { type Ask, scaleTo } from '../screens/actions';
import { say } from '../words';
import { type Entry, entriesFor } from './commands';
import css from './palette.module.css';
import { applyTheme } from './theme';
import { signOut, speak } from './user';

const RECENT_MAX = 8;
const recent = new Stored<string[]>('recent', [], texts);

export function Palette({
  onClose,
  onAsk,
  onKeyboard,
}: {
  onClose: () => void;
  onAsk: (what: Ask, id: string, to?: number) => void;
  onKeyboard: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const [, go] = useLocation();
  const apps = useRows('apps');
  const nodes = useRows('nodes');
  const loaded = useLoaded();
  useModal(ref);
  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [id, at]);
  const found = useMemo(() => entriesFor(query, { apps, nodes, recent: recent.get() }), [query, apps, nodes]);

  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    const { run } = entry;
    if (run.kind === 'fill') {
      setQuery(run.text);
      setAt(0);
      return;
    }
    recent.put([entry.id, ...recent.get().filter((other) => other !== entry.id)].slice(0, RECENT_MAX));
    onClose();
    if (run.kind === 'go') go(run.href);
    else if (run.kind === 'ask') onAsk(run.what, run.id);
    else if (run.kind === 'theme') applyTheme(run.theme);
    else if (run.kind === 'language') void speak(run.language);
    else if (run.kind === 'keyboard') onKeyboard();
    else if (run.kind === 'signOut') void signOut();
    else {
      const app = apps.find((one) => one.id === run.id);
      // One that a deployment holds is asked about.
      if (app) void scaleTo(app, run.to, () => onAsk('scale', run.id, run.to));
    }
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt((at + 1) % Math.max(1, found.length));
    else if (event.key === 'ArrowUp') setAt((at - 1 + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') choose(found[at]);
    else return;
    event.preventDefault();
  };

  return (
    <dialog
      ref={ref}
      className={css.palette}
      aria-label={say('search.label')}
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
        placeholder={say('search.hint')}
        aria-label={say('search.inputLabel')}
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
        autoComplete="off"
        spellCheck={false}
        data-first
      />
      <div id={`${id}-list`} role="listbox" aria-label={say('search.results')} className={css.list}>
        {found.map((entry, i) => (
          <div
            key={entry.id}
            id={`${id}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at}
            className={css.entry}
            onMouseMove={() => setAt(i)}
            onClick={() => choose(entry)}
          >
            <span className={css.entryMark}>{entry.look && <Mark look={entry.look} />}</span>
            <span className="truncate">
              <Letters text={entry.text} at={entry.at} />
            </span>
            <span className={css.kind}>{entry.look ? `${entry.about} · ${entry.look.word}` : entry.about}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={css.none}>{loaded ? say('search.none', { query }) : say('list.loading')}</p>}
    </dialog>
  );
}

/** A text with the letters at these places marked. */
function Letters({ text, at }: { text: string; at: number[] }) {
  if (at.length === 0) return text;
  const pieces: { text: string; hit: boolean }[] = [];
  for (let i = 0; i < text.length; i++) {
    const hit = at.includes(i);
    const last = pieces.at(-1);
    if (last?.hit === hit) last.text += text[i];
    else pieces.push({ text: text[i] ?? '', hit });
  }
  return pieces.map((piece, i) => (piece.hit ? <mark key={i} className={css.letter}>{piece.text}</mark> : piece.text));
}
