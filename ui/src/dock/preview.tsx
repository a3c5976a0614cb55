// One file: its beginning, its end as it grows, or what is around a line that was found in it.
import { useQuery } from '@tanstack/react-query';
import { ArrowDown, ArrowUp, CaseSensitive, Download } from 'lucide-react';
import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { ApiError, api } from '../api/client';
import type { FileEntry, FileHit, LogChunk } from '../api/types';
import { SearchField } from '../components/searchfield';
import { Button, Failure } from '../components/ui';
import { visible } from '../lib/ansi';
import { bytes } from '../lib/format';
import { charsOf, marker, places } from '../lib/pattern';
import { number, say } from '../words';
import css from './dock.module.css';
import { Found } from './found';
import { type Searching, useFileSearch } from './search';

/** What is read of a file: its beginning, its end, or on either side of a match. */
const PREVIEW_BYTES = 128 * 1024;
/** How often a file whose end is watched is looked at. */
const LOOK_MS = 1_500;
/** Matches that are marked in what is shown. */
const MARKS_MAX = 1_000;

/** Whether a text is none: of bytes that stand for no characters a reader has nothing. */
function binary(text: string): boolean {
  return /\u0000/.test(text.slice(0, 8_192)) || (text.match(/\ufffd/g)?.length ?? 0) > text.length / 20;
}

/** What is shown of a file: one piece of it, or two that meet at a match. */
async function read(task: string, path: string, at: 'begin' | 'end' | number, signal: AbortSignal): Promise<LogChunk[]> {
  if (at === 'end') return [await api.piece(task, path, -PREVIEW_BYTES, PREVIEW_BYTES, signal)];
  if (at === 'begin') return [await api.piece(task, path, 0, PREVIEW_BYTES, signal)];
  const from = Math.max(0, at - PREVIEW_BYTES / 2);
  const behind = api.piece(task, path, at, PREVIEW_BYTES / 2, signal);
  if (at === 0) return [await behind];
  return Promise.all([api.piece(task, path, from, at - from, signal), behind]);
}

export function Preview({ task, file }: { task: string; file: FileEntry }) {
  const [tail, setTail] = useState(false);
  const [hit, setHit] = useState<FileHit>();
  const searching = useFileSearch(task, file.path);
  const { search } = searching;
  const at = hit ? hit.offset : tail ? 'end' : 'begin';
  const piece = useQuery({
    queryKey: ['file', task, file.path, at],
    queryFn: ({ signal }) => read(task, file.path, at, signal),
    refetchInterval: at === 'end' ? LOOK_MS : false,
    // Of a long file a few places are kept, not each that was looked at.
    gcTime: 10_000,
  });
  const look = (pattern: string, cased: boolean) => {
    setHit(undefined);
    searching.look(pattern, cased);
  };
  const show = (next: FileHit) => {
    setTail(false);
    setHit(next);
  };
  const step = (by: 1 | -1) => {
    const hits = search?.hits ?? [];
    const from = hit ? hits.indexOf(hit) : by > 0 ? -1 : 0;
    const next = hits.at((from + by) % Math.max(1, hits.length));
    if (next) show(next);
  };
  const denied = piece.error instanceof ApiError;
  return (
    <>
      <div className={css.viewBar}>
        <code title={visible(file.path)}>{visible(file.name)}</code>
        <SearchTools searching={searching} hit={hit} onLook={look} onStep={step} />
        <Button
          kind="quiet"
          aria-pressed={tail}
          onClick={() => {
            setHit(undefined);
            setTail(!tail);
          }}
        >
          {tail ? say('files.follows') : say('files.follow')}
        </Button>
        <a
          className={css.link}
          href={api.downloadPath(task, file.path)}
          download={file.name}
          aria-label={say('files.downloadOf', { name: visible(file.name), size: bytes(file.size_bytes) })}
          title={say('files.download', { size: bytes(file.size_bytes) })}
        >
          <Download size={16} aria-hidden />
        </a>
      </div>
      {search && <Found search={search} hit={hit} onShow={show} onStop={searching.stop} onGoOn={searching.goOn} />}
      {denied && <Failure error={piece.error} retry={() => void piece.refetch()} />}
      {piece.data && (
        <Text
          name={visible(file.name)}
          chunks={piece.data}
          at={at}
          size={Math.max(file.size_bytes, search?.size ?? 0)}
          hit={hit}
          mark={search && marker(search.pattern, search.cased)}
        />
      )}
    </>
  );
}

/** What is looked for, how many lines have it, and the way from one to the next. */
function SearchTools({
  searching: { search },
  hit,
  onLook,
  onStep,
}: {
  searching: Searching;
  hit: FileHit | undefined;
  onLook: (pattern: string, cased: boolean) => void;
  onStep: (by: 1 | -1) => void;
}) {
  const [cased, setCased] = useState(false);
  const pattern = search?.pattern ?? '';
  const hits = search?.hits ?? [];
  return (
    <div className={css.search} role="search">
      <SearchField value={pattern} onChange={(text) => onLook(text, cased)} onHit={onStep} />
      <Button
        kind="quiet"
        aria-pressed={cased}
        aria-label={say('log.cased')}
        title={say('log.cased')}
        onClick={() => {
          setCased(!cased);
          if (pattern) onLook(pattern, !cased);
        }}
      >
        <CaseSensitive size={16} aria-hidden />
      </Button>
      {hits.length > 0 && (
        <>
          <span className={css.note}>
            {hit
              ? say('files.at', { line: number(hit.line), at: number(hits.indexOf(hit) + 1), n: number(hits.length) })
              : say('log.hits', { n: hits.length })}
          </span>
          <Button kind="quiet" aria-label={say('log.previous')} title={say('log.previous')} onClick={() => onStep(-1)}>
            <ArrowUp size={16} aria-hidden />
          </Button>
          <Button kind="quiet" aria-label={say('log.next')} title={say('log.next')} onClick={() => onStep(1)}>
            <ArrowDown size={16} aria-hidden />
          </Button>
        </>
      )}
    </div>
  );
}

function Text({
  name,
  chunks,
  at,
  size,
  hit,
  mark,
}: {
  name: string;
  chunks: LogChunk[];
  at: 'begin' | 'end' | number;
  size: number;
  hit: FileHit | undefined;
  mark: RegExp | undefined;
}) {
  const box = useRef<HTMLPreElement>(null);
  const current = useRef<HTMLElement>(null);
  useEffect(() => {
    if (at === 'end' && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [at, chunks]);
  useLayoutEffect(() => {
    if (hit) current.current?.scrollIntoView({ block: 'center' });
  }, [hit, chunks]);
  const [first, last] = [chunks[0], chunks.at(-1)];
  if (!first || !last) return null;
  const text = chunks.map((chunk) => chunk.data).join('');
  if (binary(text)) return <p className={css.none}>{say('files.binary')}</p>;
  const before = first.offset > 0 && `${say('files.before', { size: bytes(first.offset) })}\n`;
  const behind =
    last.eof === true || at === 'end'
      ? undefined
      : at === 'begin'
        ? say('files.more', { size: bytes(PREVIEW_BYTES) })
        : say('files.behind', { size: bytes(Math.max(0, size - last.next_offset)) });
  const found = hit && charsOf(last.data, Math.max(1, hit.n_bytes));
  return (
    <pre className={css.text} ref={box} tabIndex={0} aria-label={say('files.content', { name })}>
      {before && <span className="muted">{before}</span>}
      {found === undefined ? (
        <Marks text={text} by={mark} />
      ) : (
        <>
          {last !== first && <Marks text={first.data} by={mark} />}
          <mark ref={current} className={css.current}>
            {visible(last.data.slice(0, found))}
          </mark>
          <Marks text={last.data.slice(found)} by={mark} />
        </>
      )}
      {behind && <span className="muted">{`\n${behind}`}</span>}
      {text === '' && <span className="muted">{say('files.empty')}</span>}
    </pre>
  );
}

/** A text with its matches marked, line by line as the search looks at it. */
function Marks({ text, by }: { text: string; by: RegExp | undefined }): ReactNode {
  if (!by) return visible(text);
  const lines = new RegExp(by.source, `${by.flags.replace('m', '')}m`);
  const out: ReactNode[] = [];
  let at = 0;
  for (const [from, to] of places(text, lines).slice(0, MARKS_MAX)) {
    out.push(visible(text.slice(at, from)), <mark key={from}>{visible(text.slice(from, to))}</mark>);
    at = to;
  }
  out.push(visible(text.slice(at)));
  return out;
}
