// The lines that a search has found in a file, and how far it is.
import { type KeyboardEvent, useEffect, useId, useMemo, useRef } from 'react';
import type { FileHit } from '../api/types';
import { Button, Failure } from '../components/ui';
import { visible } from '../lib/ansi';
import { bytes } from '../lib/format';
import { marker, places } from '../lib/pattern';
import { number, say } from '../words';
import css from './dock.module.css';
import type { Search } from './search';

interface Props {
  search: Search;
  /** The line that is shown. */
  hit: FileHit | undefined;
  onShow: (hit: FileHit) => void;
  onStop: () => void;
  onGoOn: () => void;
}

export function Found({ search, hit, onShow, onStop, onGoOn }: Props) {
  const { hits, state, offset, size, pattern, cased } = search;
  const id = useId();
  const by = useMemo(() => marker(pattern, cased), [pattern, cased]);
  const list = useRef<HTMLUListElement>(null);
  const at = hit ? hits.indexOf(hit) : -1;
  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const key = (event: KeyboardEvent) => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: hits.length - 1 }[event.key];
    const next = to === undefined ? undefined : hits[to];
    if (to === undefined) return;
    event.preventDefault();
    if (next) onShow(next);
  };
  if (state === 'failed') return <Failure error={search.error} retry={onGoOn} />;
  return (
    <div className={css.found}>
      <div className={css.foundBar}>
        <span className={css.note} role="status">
          {state === 'running'
            ? say('files.searching')
            : state === 'done'
              ? hits.length === 0
                ? say('log.noMatch', { pattern })
                : say('files.foundAll', { n: hits.length })
              : say('files.foundSome', { n: hits.length })}
        </span>
        {state !== 'done' && size > 0 && (
          <span className={css.note}>{say('files.searched', { done: bytes(offset), size: bytes(size) })}</span>
        )}
        {state === 'running' && <Button onClick={onStop}>{say('files.stop')}</Button>}
        {state === 'stopped' && <Button onClick={onGoOn}>{say('files.goOn')}</Button>}
      </div>
      {hits.length > 0 && (
        <ul
          ref={list}
          role="listbox"
          tabIndex={0}
          aria-label={say('files.found')}
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
          onKeyDown={key}
          className={css.hits}
        >
          {hits.map((one, i) => (
            <li key={one.offset} id={`${id}-${i}`} role="option" aria-selected={i === at} onClick={() => onShow(one)}>
              <span className={css.lineNumber}>{number(one.line)}</span>
              <Line text={one.text} by={by} />
              {one.cut && <span className={css.note}>…</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Line({ text, by }: { text: string; by: RegExp | undefined }) {
  const found = by ? places(text, by) : [];
  return (
    <code>
      {found.map(([from, to], i) => (
        <span key={from}>
          {visible(text.slice(found[i - 1]?.[1] ?? 0, from))}
          <mark>{visible(text.slice(from, to))}</mark>
        </span>
      ))}
      {visible(text.slice(found.at(-1)?.[1] ?? 0))}
    </code>
  );
}
