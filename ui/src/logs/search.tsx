// The search: a pattern, what counts as a match, and the way from match to match.
import { ArrowDown, ArrowUp, CaseSensitive, Filter } from 'lucide-react';
import { SearchField } from '../components/searchfield';
import { Button } from '../components/ui';
import { say } from '../words';
import type { Address } from './address';
import type { Set } from './tools';
import css from './tools.module.css';

interface Props {
  address: Address;
  set: Set;
  /** What counts as a match stands in the sheet. */
  narrow: boolean;
  /** Matches among the lines that are held, and which one the reader is at. */
  n: number;
  at: number | undefined;
  onHit: (step: 1 | -1) => void;
}

export function Search({ address, set, narrow, n, at, onHit }: Props) {
  const { grep, cased, all } = address;
  return (
    <div className={css.search} role="search">
      <SearchField value={grep} onChange={(text) => set({ grep: text, at: undefined, line: undefined })} onHit={onHit} />
      {!narrow && (
        <>
          <Button kind="quiet" aria-pressed={cased} aria-label={say('log.cased')} title={say('log.cased')} onClick={() => set({ case: !cased })}>
            <CaseSensitive size={16} aria-hidden />
          </Button>
          <Button kind="quiet" aria-pressed={!all} aria-label={say('log.only')} title={say('log.only')} onClick={() => set({ all: !all })}>
            <Filter size={15} aria-hidden />
          </Button>
        </>
      )}
      {grep && (
        <>
          <span className={css.count} role="status">
            {at === undefined ? say('log.hits', { n }) : say('log.hit', { at: at + 1, n })}
          </span>
          <Button kind="quiet" aria-label={say('log.previous')} title={say('log.previous')} aria-keyshortcuts="Shift+N" onClick={() => onHit(-1)}>
            <ArrowUp size={16} aria-hidden />
          </Button>
          <Button kind="quiet" aria-label={say('log.next')} title={say('log.next')} aria-keyshortcuts="N" onClick={() => onHit(1)}>
            <ArrowDown size={16} aria-hidden />
          </Button>
        </>
      )}
    </div>
  );
}
