// The filter line of a list: offers what may be written, says what is not understood, keeps lines that
// are used again.
import { Search, Star, X } from 'lucide-react';
import { type KeyboardEvent, type RefObject, useEffect, useId, useMemo, useRef, useState } from 'react';
import { useKeys } from '../lib/keys';
import { complete, type Fault, type Language } from '../lib/query';
import { Stored, texts, useStored } from '../lib/stored';
import { number, say } from '../words';
import css from './filterbox.module.css';

/** The address follows the typing after this pause: a browser allows few changes of it in a second. */
const SETTLE_MS = 250;
const SAVED_MAX = 12;

/** What is typed, at once; the address has it once the typing rests. */
export function useFilter(address: string, setAddress: (query: string) => void): [string, (query: string) => void] {
  const [typed, setTyped] = useState(address);
  /** What the address was last seen as, and what it was told and has not shown yet. */
  const seen = useRef(address);
  const told = useRef(new Set<string>());
  useEffect(() => {
    if (address === seen.current) return;
    seen.current = address;
    // Not by us: by a link, or by the way back.
    if (!told.current.delete(address)) setTyped(address);
  }, [address]);
  const tell = useRef(setAddress);
  tell.current = setAddress;
  useEffect(() => {
    if (typed === seen.current) return;
    const settle = () => {
      told.current.add(typed);
      tell.current(typed);
    };
    const timer = setTimeout(settle, SETTLE_MS);
    // A page that is loaded anew right after the last letter has it too.
    window.addEventListener('pagehide', settle);
    return () => {
      clearTimeout(timer);
      window.removeEventListener('pagehide', settle);
    };
  }, [typed]);
  return [typed, setTyped];
}

function faultText({ kind, text }: Fault): string {
  if (kind === 'field') return say('filter.faultField', { text });
  if (kind === 'value') return say('filter.faultValue', { text });
  if (kind === 'empty') return say('filter.faultEmpty', { text });
  return kind === 'quote' ? say('filter.faultQuote') : say('filter.faultParenthesis');
}

export function FilterBox<T>({
  label,
  placeholder,
  query,
  onQuery,
  onFocus,
  language,
  rows,
  fault,
  name,
  count,
}: {
  label: string;
  placeholder: string;
  query: string;
  onQuery: (query: string) => void;
  /** That somebody is about to type, or is not any more. */
  onFocus?: (on: boolean) => void;
  language: Language<T>;
  rows: readonly T[];
  fault: Fault | undefined;
  /** Under which the saved lines are kept. */
  name: string;
  /** How many rows a saved line finds. */
  count: (query: string) => number;
}) {
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const offer = useOffer(input, query, onQuery, language, rows);
  useKeys({ '/': () => input.current?.focus() });
  const [saved, keep] = useSaved(name);
  // Of all rows, so the same whatever is typed.
  const counts = useMemo(() => saved.map(count), [saved, rows]);

  const key = (event: KeyboardEvent) => {
    if (offer.key(event)) return;
    if (event.key === 'Escape') onQuery('');
    if (event.key === 'ArrowDown' && !offer.open) {
      event.preventDefault();
      document.querySelector<HTMLElement>('main [data-row][tabindex="0"]')?.focus();
    }
  };
  return (
    <>
      <div className={css.box}>
        <Search size={15} aria-hidden />
        <input
          ref={input}
          type="text"
          role="combobox"
          value={query}
          onChange={(event) => {
            onQuery(event.target.value);
            offer.ask();
          }}
          onKeyDown={key}
          onFocus={() => onFocus?.(true)}
          onBlur={() => {
            offer.close();
            onFocus?.(false);
          }}
          aria-label={label}
          aria-expanded={offer.open}
          aria-controls={offer.open ? `${id}-offer` : undefined}
          aria-activedescendant={offer.open && offer.at >= 0 ? `${id}-${offer.at}` : undefined}
          aria-autocomplete="list"
          aria-invalid={fault ? true : undefined}
          aria-describedby={`${id}-fault`}
          placeholder={placeholder}
          autoComplete="off"
          spellCheck={false}
        />
        {query && (
          <span className={css.buttons}>
            <button
              type="button"
              aria-pressed={saved.includes(query)}
              aria-label={saved.includes(query) ? say('filter.forget') : say('filter.save')}
              title={saved.includes(query) ? say('filter.forget') : say('filter.save')}
              onClick={() => keep(query)}
            >
              <Star size={14} aria-hidden fill={saved.includes(query) ? 'currentColor' : 'none'} />
            </button>
            <button type="button" onClick={() => onQuery('')} aria-label={say('filter.clear')}>
              <X size={14} aria-hidden />
            </button>
          </span>
        )}
        {offer.open && (
          <ul id={`${id}-offer`} role="listbox" aria-label={say('filter.offers')} className={css.offer}>
            {offer.items.map((item, i) => (
              <li
                key={item}
                id={`${id}-${i}`}
                role="option"
                aria-selected={i === offer.at}
                onPointerDown={(event) => {
                  // The line keeps the focus.
                  event.preventDefault();
                  offer.take(i);
                }}
              >
                {item}
              </li>
            ))}
          </ul>
        )}
      </div>
      <p id={`${id}-fault`} className={css.fault} role="status">
        {fault && faultText(fault)}
      </p>
      {saved.length > 0 && (
        <ul className={css.saved} aria-label={say('filter.saved')}>
          {saved.map((line, i) => (
            <li key={line}>
              <button type="button" aria-pressed={line === query} onClick={() => onQuery(line === query ? '' : line)}>
                <Star size={12} aria-hidden fill="currentColor" />
                <span className="truncate">{line}</span>
                <span className="nums">{number(counts[i] ?? 0)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** Lines that are kept, and the way to keep one or let it go. */
function useSaved(name: string): [string[], (line: string) => void] {
  const [store] = useState(() => new Stored<string[]>(`filters.${name}`, [], texts));
  const saved = useStored(store);
  const keep = (line: string) =>
    store.put(saved.includes(line) ? saved.filter((other) => other !== line) : [...saved, line].slice(-SAVED_MAX));
  return [saved, keep];
}

/** What may stand where the caret is, and the keys that choose from it. */
function useOffer<T>(
  input: RefObject<HTMLInputElement | null>,
  query: string,
  onQuery: (query: string) => void,
  language: Language<T>,
  rows: readonly T[],
) {
  const [asked, setAsked] = useState(false);
  const [at, setAt] = useState(-1);
  const caret = input.current?.selectionStart ?? query.length;
  const { from, to, items } = asked ? complete(query, caret, language, rows) : { from: 0, to: 0, items: [] };
  const open = items.length > 0;
  const take = (i: number) => {
    const item = items[i];
    if (item === undefined) return;
    const line = query.slice(0, from) + item + query.slice(to);
    onQuery(line);
    setAt(-1);
    // A field goes on with its values.
    setAsked(item.endsWith(':'));
    requestAnimationFrame(() => input.current?.setSelectionRange(from + item.length, from + item.length));
  };
  const key = (event: KeyboardEvent): boolean => {
    if (!open) return false;
    if (event.key === 'ArrowDown') setAt((at + 1) % items.length);
    else if (event.key === 'ArrowUp') setAt((at - 1 + items.length) % items.length);
    else if (event.key === 'Escape') setAsked(false);
    else if (event.key === 'Enter' && at >= 0) take(at);
    else if (event.key === 'Tab' && at >= 0) take(at);
    else return false;
    event.preventDefault();
    return true;
  };
  return {
    open,
    items,
    at,
    take,
    key,
    ask: () => {
      setAsked(true);
      setAt(-1);
    },
    close: () => setAsked(false),
  };
}
