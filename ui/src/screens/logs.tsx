// What a task wrote, live: reads the end of a file, then follows it.
import { ArrowDownToLine, Download, Pause, Play, WrapText } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useSearchParams } from 'wouter';
import { ApiError, api } from '../api/client';
import { readEvents } from '../api/sse';
import type { App, Instance, LogChunk } from '../api/types';
import { Button, Empty, Panel } from '../components/ui';
import { plain, spans } from '../lib/ansi';
import { shortTask } from '../lib/format';
import { ended, instanceLook } from '../lib/status';
import css from './logs.module.css';

/** How much of the end is read at first. */
const TAIL_BYTES = 64 * 1024;
/** Lines kept in the page; older ones leave at the top. */
const LINES_MAX = 5_000;
/** Two missed heartbeats and a half, as in the live view. */
const SILENCE_MS = 40_000;
const RETRY_MS = 2_000;

interface Line {
  n: number;
  text: string;
}

type Following = 'opening' | 'waiting' | 'following' | 'ended' | 'retrying' | 'failed';

/**
 * Lines of one file of one task; stops taking new ones while `paused`. A file that does not exist
 * is asked for again as long as the task lives: it may only not have started to write.
 */
function useLog(task: string | undefined, file: string, paused: boolean, living: boolean) {
  const [lines, setLines] = useState<Line[]>([]);
  const [state, setState] = useState<Following>('opening');
  const [error, setError] = useState('');
  const [held, setHeld] = useState(0);
  const holding = useRef({ paused, living, lines: [] as Line[] });
  holding.current.paused = paused;
  holding.current.living = living;

  useEffect(() => {
    if (paused) return;
    const waiting = holding.current.lines;
    holding.current.lines = [];
    setHeld(0);
    if (waiting.length > 0) setLines((old) => [...old, ...waiting].slice(-LINES_MAX));
  }, [paused]);

  useEffect(() => {
    setLines([]);
    setState('opening');
    setError('');
    holding.current.lines = [];
    setHeld(0);
    if (!task) return;
    const stop = new AbortController();
    let at: number | undefined;
    let rest = '';
    let n = 0;
    let fresh: Line[] = [];
    let frame = 0;

    const flush = () => {
      frame = 0;
      const taken = fresh;
      fresh = [];
      if (holding.current.paused) {
        holding.current.lines = [...holding.current.lines, ...taken].slice(-LINES_MAX);
        setHeld((count) => count + taken.length);
      } else setLines((old) => [...old, ...taken].slice(-LINES_MAX));
    };
    const take = (chunk: LogChunk) => {
      // The first chunk of a tail starts somewhere inside a line: drop that piece.
      const cut = at === undefined && chunk.offset > 0;
      at = chunk.next_offset;
      const pieces = (rest + chunk.data).split('\n');
      rest = pieces.pop() ?? '';
      for (const text of cut ? pieces.slice(1) : pieces) fresh.push({ n: n++, text });
      if (!frame) frame = requestAnimationFrame(flush);
    };
    const follow = async () => {
      while (!stop.signal.aborted) {
        let over = false;
        let missing = false;
        try {
          const path = api.logPath(task, {
            file,
            follow: 'true',
            offset: String(at ?? -TAIL_BYTES),
          });
          const lastEventId = at === undefined ? undefined : String(at);
          const onOpen = () => setState('following');
          const options = { lastEventId, signal: stop.signal, silenceMs: SILENCE_MS, onOpen };
          await readEvents(path, options, (event) => {
            if (event.event === 'data') take(JSON.parse(event.data) as LogChunk);
            if (event.event === 'end') over = true;
          });
        } catch (cause) {
          const refused = cause instanceof ApiError && cause.status >= 400 && cause.status < 500;
          const young = refused && cause.status === 404 && holding.current.living;
          if (refused && !young) {
            setState('failed');
            setError(cause.status === 404 ? 'Nothing is kept of this file.' : cause.message);
            return;
          }
          missing = young;
        }
        if (stop.signal.aborted) return;
        if (over) {
          setState('ended');
          return;
        }
        setState(missing ? 'waiting' : 'retrying');
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    };
    void follow();
    return () => {
      stop.abort();
      cancelAnimationFrame(frame);
    };
  }, [task, file]);

  return { lines, state, error, held };
}

const STATE_WORDS: Record<Following, string> = {
  opening: 'Opening',
  waiting: 'Waiting for output',
  following: 'Following',
  ended: 'The task has ended',
  retrying: 'Connection lost, trying again',
  failed: 'Not available',
};

export default function Logs({ app }: { app: App }) {
  const [search, setSearch] = useSearchParams();
  const tasks = app.tasks.filter((task): task is Instance & { task_id: string } => !!task.task_id);
  const wanted = search.get('task');
  const task = tasks.find((candidate) => candidate.task_id === wanted || candidate.id === wanted) ?? tasks[0];
  const file = search.get('file') === 'stderr' ? 'stderr' : 'stdout';
  const [paused, setPaused] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [words, setWords] = useState('');
  const { lines, state, error, held } = useLog(task?.task_id, file, paused, !!task && !ended(task));

  if (!task) {
    return (
      <Panel>
        <Empty title="No instance has been launched">Its output will appear here.</Empty>
      </Panel>
    );
  }
  const set = (key: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        next.set(key, value);
        return next;
      },
      { replace: true },
    );

  return (
    <Panel flush className={css.panel}>
      <div className={css.tools}>
        <select aria-label="Instance" value={task.task_id} onChange={(event) => set('task', event.target.value)}>
          {tasks.map((candidate) => (
            <option key={candidate.id} value={candidate.task_id}>
              {`${shortTask(candidate)}${candidate.host ? ` on ${candidate.host}` : ''} (${instanceLook(candidate).word.toLowerCase()})`}
            </option>
          ))}
        </select>
        <div className={css.files} role="group" aria-label="Stream">
          {['stdout', 'stderr'].map((name) => (
            <button key={name} type="button" aria-pressed={file === name} onClick={() => set('file', name)}>
              {name}
            </button>
          ))}
        </div>
        <input
          type="text"
          value={words}
          onChange={(event) => setWords(event.target.value)}
          placeholder="Show lines with…"
          aria-label="Show only lines with this text"
        />
        <span className={css.spacer} />
        <span className={css.state} role="status">
          {paused ? `Paused, ${held} new` : STATE_WORDS[state]}
        </span>
        <Button kind="quiet" onClick={() => setPaused(!paused)} aria-pressed={paused}>
          {paused ? <Play size={15} aria-hidden /> : <Pause size={15} aria-hidden />}
          {paused ? 'Go on' : 'Pause'}
        </Button>
        <Button kind="quiet" onClick={() => setWrap(!wrap)} aria-pressed={wrap} aria-label="Wrap long lines" title="Wrap long lines">
          <WrapText size={16} aria-hidden />
        </Button>
        <a
          className={css.download}
          href={api.downloadPath(task.task_id, file)}
          download={`${shortTask(task)}-${file}.txt`}
          aria-label={`Download ${file}`}
          title={`Download ${file}`}
        >
          <Download size={16} aria-hidden />
        </a>
      </div>
      <Output
        key={`${task.task_id} ${file}`}
        lines={lines}
        words={words}
        wrap={wrap}
        empty={error || (state === 'opening' || state === 'retrying' ? '' : `Nothing on ${file} yet.`)}
      />
    </Panel>
  );
}

function Output({ lines, words, wrap, empty }: { lines: Line[]; words: string; wrap: boolean; empty: string }) {
  const ref = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const shown = useMemo(() => {
    const low = words.toLowerCase();
    return low ? lines.filter((line) => plain(line.text).toLowerCase().includes(low)) : lines;
  }, [lines, words]);

  useEffect(() => {
    if (atEnd && ref.current && shown.length >= 0) ref.current.scrollTop = ref.current.scrollHeight;
  }, [shown, atEnd]);

  const scrolled = () => {
    const box = ref.current;
    if (box) setAtEnd(box.scrollHeight - box.scrollTop - box.clientHeight < 24);
  };
  return (
    <div className={css.frame}>
      <div
        ref={ref}
        className={`${css.output} ${wrap ? css.wrap : ''}`}
        onScroll={scrolled}
        role="log"
        aria-live="off"
        aria-label="Output"
        tabIndex={0}
      >
        {shown.map((line) => (
          <div key={line.n} className={css.line}>
            {words ? <Marked text={plain(line.text)} words={words} /> : <Coloured text={line.text} />}
          </div>
        ))}
        {shown.length === 0 && (
          <p className={css.none}>{words && lines.length > 0 ? `No line has “${words}”.` : empty}</p>
        )}
      </div>
      {!atEnd && (
        <Button
          className={css.end}
          onClick={() => {
            setAtEnd(true);
            if (ref.current) ref.current.scrollTop = ref.current.scrollHeight;
          }}
        >
          <ArrowDownToLine size={15} aria-hidden />
          To the end
        </Button>
      )}
    </div>
  );
}

function Coloured({ text }: { text: string }) {
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

function Marked({ text, words }: { text: string; words: string }) {
  const at = text.toLowerCase().indexOf(words.toLowerCase());
  if (at < 0) return <>{text}</>;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + words.length)}</mark>
      {text.slice(at + words.length)}
    </>
  );
}
