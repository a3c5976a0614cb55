// What a service wrote: all instances in one list by time, searched by the cluster, live, and back as
// far as it is kept. Rows are drawn only where they are seen.
import { useVirtualizer } from '@tanstack/react-virtual';
import { ArrowDownToLine, Clock, Download, Pause, Play, WrapText } from 'lucide-react';
import { memo, type RefObject, useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import { ApiError, api } from '../api/client';
import type { App, Instance, LogLine, LogStream } from '../api/types';
import { Button, Empty, Notice, Panel } from '../components/ui';
import { plain, spans } from '../lib/ansi';
import { shortTask } from '../lib/format';
import { type Bucket, buckets, type Held, hue, marked, marker, NOTHING, preceded, renewed, since, timed } from '../lib/lines';
import { ended, instanceLook } from '../lib/status';
import css from './logs.module.css';

/** Lines of the first answer and of each older page, and of one about what is new. */
const PAGE = 1_000;
const NEW_MAX = 5_000;
/** How often what is new is asked for; less often while nothing comes. */
const LOOK_MS = 1_200;
const LOOK_MAX_MS = 4_000;
/** Answers in a row that may bring nothing while the search goes back. */
const SEARCH_MAX = 40;
const ROW = 18;
const TYPING_MS = 300;

interface Asked {
  of: string;
  grep: string;
  stream: string;
  previous: boolean;
}

type Following = 'opening' | 'following' | 'retrying' | 'failed';

function query(asked: Asked, more: Record<string, string>): Record<string, string> {
  const { of, stream } = asked;
  return {
    of,
    ...(stream && { stream }),
    ...(asked.grep && { grep: `(?i)${asked.grep}` }),
    ...(asked.previous && { previous: 'true' }),
    ...more,
  };
}

/** The lines that are asked for, renewed while not `paused`, and a way to older ones. */
function useLines(asked: Asked, paused: boolean) {
  const [held, setHeld] = useState<Held>(NOTHING);
  const [streams, setStreams] = useState<LogStream[]>([]);
  const [state, setState] = useState<Following>('opening');
  const [error, setError] = useState('');
  const [seeking, setSeeking] = useState(false);
  const now = useRef(held);
  now.current = held;
  const run = useRef<AbortController>(undefined);

  // The question as text, so that an equal one is the same one.
  const key = JSON.stringify(asked);
  useEffect(() => {
    const stop = new AbortController();
    run.current = stop;
    setHeld(NOTHING);
    setStreams([]);
    setState('opening');
    setError('');
    const read = async () => {
      try {
        const answer = await api.logs(query(JSON.parse(key), { limit: `${PAGE}` }), stop.signal);
        setHeld({ lines: timed(answer.lines), before: answer.before, first: 0 });
        setStreams(answer.streams);
        setState('following');
      } catch (cause) {
        if (stop.signal.aborted) return;
        setState('failed');
        setError(cause instanceof ApiError ? cause.message : String(cause));
      }
    };
    void read();
    return () => stop.abort();
  }, [key]);

  useEffect(() => {
    if (paused || state === 'opening' || state === 'failed') return;
    const stop = new AbortController();
    let wait = LOOK_MS;
    const look = async () => {
      const from = since(now.current);
      const more: Record<string, string> = from ? { since: from, limit: `${NEW_MAX}` } : { limit: `${PAGE}` };
      try {
        const answer = await api.logs(query(JSON.parse(key), more), stop.signal);
        setStreams(answer.streams);
        setState('following');
        const lines = timed(answer.lines);
        const joined = (old: Held) => (from ? renewed(old, from, lines) : { lines, before: answer.before, first: 0 });
        const isOld = lines.length === 0 || joined(now.current) === now.current;
        wait = isOld ? Math.min(wait * 1.5, LOOK_MAX_MS) : LOOK_MS;
        // An older page may have come meanwhile: it stays.
        setHeld(joined);
      } catch {
        if (!stop.signal.aborted) setState('retrying');
      }
    };
    let timer = setTimeout(async function again() {
      if (!document.hidden) await look();
      if (!stop.signal.aborted) timer = setTimeout(again, wait);
    }, LOOK_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, paused, state === 'opening' || state === 'failed']);

  const older = useCallback(async () => {
    const stop = run.current;
    let before = now.current.before;
    if (!stop || !before || seeking) return 0;
    setSeeking(true);
    try {
      // A search may have to go back far for its next line.
      for (let n = 0; n < SEARCH_MAX && before; n++) {
        const answer = await api.logs(query(JSON.parse(key), { before, limit: `${PAGE}` }), stop.signal);
        before = answer.before;
        if (answer.lines.length > 0 || !before) {
          setHeld((old) => preceded(old, timed(answer.lines), answer.before));
          return answer.lines.length;
        }
      }
      setHeld((old) => ({ ...old, before }));
    } catch {
      // Asked for again by the next scroll.
    } finally {
      setSeeking(false);
    }
    return 0;
  }, [key, seeking]);

  return { held, streams, state, error, seeking, older };
}

export default function Logs({ app }: { app: App }) {
  const [search, setSearch] = useSearchParams();
  const tasks = app.tasks.filter((task): task is Instance & { task_id: string } => !!task.task_id);
  const wanted = search.get('task') ?? '';
  const task = tasks.find((candidate) => candidate.task_id === wanted || candidate.id === wanted);
  const stream = search.get('file') === 'stdout' || search.get('file') === 'stderr' ? `${search.get('file')}` : '';
  const grep = search.get('grep') ?? '';
  const previous = search.get('previous') === 'true';
  const [paused, setPaused] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [times, setTimes] = useState(true);
  const of = wanted ? (task?.task_id ?? wanted) : app.id;
  const { held, streams, state, error, seeking, older } = useLines({ of, grep, stream, previous }, paused);

  const set = (key: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(key, value);
        else next.delete(key);
        return next;
      },
      { replace: true },
    );
  if (tasks.length === 0 && !wanted) {
    return (
      <Panel>
        <Empty title="No instance has been launched">Its output will appear here.</Empty>
      </Panel>
    );
  }
  const away = [...new Set(streams.filter((s) => s.cut === 'unreachable').map((s) => s.host))];
  return (
    <Panel flush className={css.panel}>
      <div className={css.tools}>
        <select aria-label="Instance" value={task?.task_id ?? ''} onChange={(event) => set('task', event.target.value)}>
          <option value="">All instances</option>
          {tasks.map((candidate) => (
            <option key={candidate.id} value={candidate.task_id}>
              {`${shortTask(candidate)}${candidate.host ? ` on ${candidate.host}` : ''} (${instanceLook(candidate).word.toLowerCase()})`}
            </option>
          ))}
        </select>
        <div className={css.files} role="group" aria-label="Streams">
          {[['', 'Both'], ['stdout', 'stdout'], ['stderr', 'stderr']].map(([name, text]) => (
            <button key={name} type="button" aria-pressed={stream === name} onClick={() => set('file', name ?? '')}>
              {text}
            </button>
          ))}
        </div>
        <Search value={grep} onChange={(text) => set('grep', text)} />
        <label className={css.check}>
          <input type="checkbox" checked={previous} onChange={(event) => set('previous', event.target.checked ? 'true' : '')} />
          Earlier attempts
        </label>
        <span className={css.spacer} />
        <span className={css.state} role="status">
          {paused ? 'Paused' : words(state, !!task && ended(task))}
        </span>
        <Button kind="quiet" onClick={() => setPaused(!paused)} aria-pressed={paused}>
          {paused ? <Play size={15} aria-hidden /> : <Pause size={15} aria-hidden />}
          {paused ? 'Go on' : 'Pause'}
        </Button>
        <Button
          kind="quiet"
          className={css.timesButton}
          onClick={() => setTimes(!times)}
          aria-pressed={times}
          aria-label="Times"
          title="Times"
        >
          <Clock size={16} aria-hidden />
        </Button>
        <Button kind="quiet" onClick={() => setWrap(!wrap)} aria-pressed={wrap} aria-label="Wrap long lines" title="Wrap long lines">
          <WrapText size={16} aria-hidden />
        </Button>
        {task && (
          <a
            className={css.download}
            href={api.downloadPath(task.task_id, stream || 'stdout')}
            download={`${shortTask(task)}-${stream || 'stdout'}.txt`}
            aria-label={`Download ${stream || 'stdout'}`}
            title={`Download ${stream || 'stdout'}`}
          >
            <Download size={16} aria-hidden />
          </a>
        )}
      </div>
      {away.length > 0 && (
        <Notice tone="attention">{`${away.join(', ')} does not answer: the lines of its instances are missing.`}</Notice>
      )}
      <Output
        key={`${of} ${stream} ${grep} ${previous}`}
        held={held}
        grep={grep}
        wrap={wrap}
        times={times}
        several={!task}
        seeking={seeking}
        onOlder={older}
        empty={error || (state === 'opening' ? '' : grep ? `No line matches “${grep}”.` : 'Nothing was written yet.')}
      />
    </Panel>
  );
}

function words(state: Following, over: boolean): string {
  if (state === 'following') return over ? 'The task has ended' : 'Following';
  return { opening: 'Opening', retrying: 'Connection lost, trying again', failed: 'Not available' }[state];
}

/** What is typed is looked for when the typing rests. */
function Search({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, setText] = useState(value);
  const told = useRef(onChange);
  told.current = onChange;
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => told.current(text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <input
      type="text"
      value={text}
      spellCheck={false}
      onChange={(event) => setText(event.target.value)}
      placeholder="Search, a regular expression"
      aria-label="Search with a regular expression"
    />
  );
}

interface OutputProps {
  held: Held;
  grep: string;
  wrap: boolean;
  times: boolean;
  several: boolean;
  seeking: boolean;
  onOlder: () => Promise<number>;
  empty: string;
}

function Output({ held, grep, wrap, times, several, seeking, onOlder, empty }: OutputProps) {
  const box = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const { lines } = held;
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    getItemKey: (i) => held.first + i,
    overscan: 20,
  });
  const mark = useMemo(() => marker(grep), [grep]);
  const chart = useMemo(() => buckets(lines), [lines]);

  useEffect(() => {
    if (atEnd && lines.length > 0) virtual.scrollToIndex(lines.length - 1, { align: 'end' });
  }, [lines, atEnd, virtual]);
  // Rows have other heights then.
  useEffect(() => virtual.measure(), [wrap, times, virtual]);

  const pick = useCallback(
    (first: number) => {
      setAtEnd(false);
      virtual.scrollToIndex(first, { align: 'start' });
    },
    [virtual],
  );
  const older = useOlder(box, virtual.scrollToIndex, onOlder);
  const scrolled = () => {
    const at = box.current;
    if (!at) return;
    setAtEnd(at.scrollHeight - at.scrollTop - at.clientHeight < 24);
    if (at.scrollTop < 400 && held.before && !seeking) older();
  };
  return (
    <div className={css.frame}>
      <Chart buckets={chart} onPick={pick} />
      <div
        ref={box}
        className={`${css.output} ${wrap ? css.wrap : ''}`}
        onScroll={scrolled}
        role="log"
        aria-live="off"
        aria-label="Output"
        tabIndex={0}
      >
        {held.before && lines.length > 0 && (
          <p className={css.older}>
            <Button kind="quiet" busy={seeking} onClick={older}>
              Older lines
            </Button>
          </p>
        )}
        <div className={css.sizer} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const line = lines[item.index];
            return line ? (
              <div
                key={item.key}
                ref={virtual.measureElement}
                data-index={item.index}
                data-line=""
                className={`${css.line} ${line.stream === 'stderr' ? css.err : ''}`}
                style={{ translate: `0 ${item.start}px` }}
              >
                <Row line={line} times={times} several={several} mark={mark} />
              </div>
            ) : null;
          })}
        </div>
        {lines.length === 0 && <p className={css.none}>{empty}</p>}
        {lines.length === 0 && held.before && (
          <p className={css.older}>
            <Button busy={seeking} onClick={older}>
              Search further back
            </Button>
          </p>
        )}
      </div>
      {!atEnd && (
        <Button
          className={css.end}
          onClick={() => {
            setAtEnd(true);
            virtual.scrollToIndex(lines.length - 1, { align: 'end' });
          }}
        >
          <ArrowDownToLine size={15} aria-hidden />
          To the end
        </Button>
      )}
    </div>
  );
}

/** Asks for older lines and stays at the line that was looked at. */
function useOlder(
  box: RefObject<HTMLDivElement | null>,
  scrollTo: (index: number, options: { align: 'start' }) => void,
  onOlder: () => Promise<number>,
): () => void {
  return () => {
    const first = box.current?.querySelector('[data-line]')?.getAttribute('data-index');
    void onOlder().then((n) => {
      if (n > 0) requestAnimationFrame(() => scrollTo(n + Number(first ?? 0), { align: 'start' }));
    });
  };
}

interface RowProps {
  line: LogLine;
  times: boolean;
  several: boolean;
  mark: RegExp | undefined;
}

const Row = memo(function Row({ line, times, several, mark }: RowProps) {
  return (
    <>
      {times && (
        <time className={css.time} dateTime={line.at} title={line.at}>
          {line.at ? clock(line.at) : '–'}
        </time>
      )}
      {several && (
        <span className={css.gutter} style={{ ['--hue' as string]: hue(line.task) }} title={`${line.task} ${line.stream}`}>
          {shortTask({ task_id: line.task } as Instance)}
        </span>
      )}
      <span className={css.text}>
        <Text text={line.text} mark={mark} />
      </span>
    </>
  );
});

/** The time of the day, to the millisecond. */
function clock(at: string): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function Text({ text, mark }: { text: string; mark: RegExp | undefined }) {
  if (mark) {
    return marked(plain(text), mark).map((piece, i) => (piece.hit ? <mark key={i}>{piece.text}</mark> : piece.text));
  }
  if (!text) return '\u00a0';
  return spans(text).map((span, i) =>
    span.hue || span.bold ? (
      <span key={i} className={`${span.hue ? css[span.hue] : ''} ${span.bold ? css.bold : ''}`}>
        {span.text}
      </span>
    ) : (
      span.text
    ),
  );
}

/** How much was written when, error output in its own colour; a part leads to its lines. */
const Chart = memo(function Chart({ buckets: all, onPick }: { buckets: Bucket[]; onPick: (first: number) => void }) {
  if (all.length === 0) return null;
  const most = Math.max(...all.map((bucket) => bucket.stdout + bucket.stderr));
  return (
    <div className={css.chart} role="img" aria-label={`${all.length} parts of time, at most ${most} lines in one`}>
      {all.map((bucket, i) => (
        <span
          key={i}
          className={css.bar}
          title={`${clock(new Date(bucket.at).toISOString())}: ${bucket.stdout} on stdout, ${bucket.stderr} on stderr`}
          onClick={() => bucket.first >= 0 && onPick(bucket.first)}
        >
          <span className={css.barErr} style={{ height: `${(bucket.stderr / most) * 100}%` }} />
          <span className={css.barOut} style={{ height: `${(bucket.stdout / most) * 100}%` }} />
        </span>
      ))}
    </div>
  );
});
