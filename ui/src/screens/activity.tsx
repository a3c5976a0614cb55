// What was done, by whom, and what became of it: of the cluster, or of one service.
import { Bomb, ChevronDown, ChevronRight, HeartPulse, Link2, Rocket, Server, Settings2, Skull, UserRound } from 'lucide-react';
import { type ComponentType, type ReactNode, useEffect, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { type HistoryAsk, api } from '../api/client';
import type { Attempt, HistoryRecord } from '../api/types';
import { said, Told, Wrong } from '../components/said';
import { Button, Empty, Failure, PageHead, Panel, Skeleton } from '../components/ui';
import { plainText } from '../lib/ansi';
import { appHref, dateAndTime, dayOrTime, took, wayOf } from '../lib/format';
import { say } from '../words';
import css from './activity.module.css';
import { behind, folded, type Row, usePast } from './past';
import { Title } from './services';

type Kind = HistoryRecord['kind'];

const KINDS: { id: Kind; icon: ComponentType<{ size?: number; 'aria-hidden'?: boolean }> }[] = [
  { id: 'change', icon: Settings2 },
  { id: 'deployment', icon: Rocket },
  { id: 'attempt', icon: Bomb },
  { id: 'kill', icon: Skull },
  { id: 'health', icon: HeartPulse },
  { id: 'node', icon: Server },
  { id: 'access', icon: UserRound },
  { id: 'cluster', icon: Server },
];
/** Kinds that a service has. */
const OF_SERVICE: Kind[] = ['change', 'deployment', 'attempt', 'kill', 'health'];
const SPANS = ['1h', '24h', '7d'] as const;
/** Dots of one loop that are drawn; older ones are counted, and drawn when somebody wants them. */
const DOTS_MAX = 60;
/** Keystrokes become an address, and a question, after this. */
const TYPED_MS = 300;

export default function ActivityPage() {
  return (
    <>
      <Title text={say('nav.activity')} />
      <PageHead title={say('nav.activity')} sub={say('activity.about')} />
      <Activity />
    </>
  );
}

export function Activity({ of }: { of?: string }) {
  const [search, setSearch] = useSearchParams();
  const at = search.get('at') ?? undefined;
  const filter = { kind: search.get('kind') ?? '', who: search.get('who') ?? '', grep: search.get('q') ?? '', since: search.get('since') ?? '' };
  const ask: HistoryAsk = at ? { of, before: behind(at) } : { of, ...filter };
  const past = usePast(ask, at !== undefined);
  const set = (name: string, value: string) =>
    setSearch((old) => {
      const next = new URLSearchParams(old);
      next.delete('at');
      if (value) next.set(name, value);
      else next.delete(name);
      return next;
    }, { replace: true });
  const rows = folded(past.records);
  const isFiltered = Object.values(filter).some(Boolean);
  const kinds = of === undefined ? KINDS : KINDS.filter(({ id }) => OF_SERVICE.includes(id));
  return (
    <Panel flush className={css.panel}>
      {at ? (
        <div className={css.tools}>
          <span>{say('activity.linked')}</span>
          <Button onClick={() => set('at', '')}>{say('activity.newest')}</Button>
        </div>
      ) : (
        <div className={css.tools} role="search" aria-label={say('nav.activity')}>
          <Typed label={say('activity.text')} value={filter.grep} onChange={(text) => set('q', text)} />
          <Select label={say('activity.kind')} value={filter.kind} onChange={(kind) => set('kind', kind)}
            options={[{ id: '', text: say('activity.everything') }, ...kinds.map(({ id }) => ({ id, text: say(`activity.kind.${id}`) }))]} />
          <Select label={say('activity.since')} value={filter.since} onChange={(since) => set('since', since)}
            options={[{ id: '', text: say('activity.span.all') }, ...SPANS.map((id) => ({ id, text: say(`activity.span.${id}`) }))]} />
          <Typed label={say('activity.who')} value={filter.who} onChange={(who) => set('who', who)} />
          <a className={css.export} href={api.historyPath({ ...ask, format: 'jsonl', limit: 10_000 })} download="history.jsonl">
            {say('activity.export')}
          </a>
        </div>
      )}
      {past.error !== undefined && <Failure error={past.error} retry={past.retry} />}
      {past.pending && rows.length === 0 && <Skeleton />}
      {!past.pending && past.error === undefined && rows.length === 0 && (
        <Empty title={isFiltered ? say('activity.noMatch') : say('activity.none')}>
          {isFiltered ? say('activity.noMatchHint') : say('activity.noneHint')}
        </Empty>
      )}
      <ol className={css.list} aria-label={say('activity.list')}>
        {rows.map((row) => (
          <Entry key={row.id} row={row} of={of} marked={row.id === at} />
        ))}
      </ol>
      <footer className={css.foot}>
        {past.next ? (
          <Button onClick={() => void past.more()}>{say('activity.older')}</Button>
        ) : (
          !past.pending && past.since && (
            <span className="muted">
              {past.dropped
                ? say('activity.dropped', { when: dayOrTime(past.since) })
                : say('activity.begins', { when: dayOrTime(past.since) })}
            </span>
          )
        )}
      </footer>
    </Panel>
  );
}

function Entry({ row, of, marked }: { row: Row; of?: string | undefined; marked: boolean }) {
  const [record] = row.records;
  const [open, setOpen] = useState<number>();
  if (!record) return null;
  const Icon = KINDS.find(({ id }) => id === record.kind)?.icon ?? Settings2;
  const attempt = open === undefined ? undefined : row.records[open]?.attempt;
  const isLoop = row.records.length > 1;
  return (
    <li className={css.row} data-bad={record.bad || undefined} data-marked={marked || undefined} data-testid="record">
      <time className={css.time} dateTime={record.at} title={dateAndTime(record.at)}>
        {dayOrTime(record.at)}
      </time>
      <span className={css.icon}>
        <Icon size={15} aria-hidden />
      </span>
      <div className={css.what}>
        <div>
          <Subject record={record} of={of} />
          {isLoop ? (
            said('activity.loop', { n: row.records.length, exit: <Told text={record.attempt?.exit ?? record.text} /> })
          ) : (
            <Told text={record.text} />
          )}
          {!isLoop && record.attempt && !record.bad && (
            <span className="muted">
              : <Told text={record.attempt.exit} />
            </span>
          )}
          {record.kind === 'deployment' && record.took_ms !== undefined && (
            <span className="muted">, {say('activity.took', { time: took(record.took_ms) })}</span>
          )}
          {record.refused && (
            <span className={css.refused}> {said('activity.refused', { why: <Told text={record.refused} /> })}</span>
          )}
        </div>
        {!isLoop && record.bad && record.attempt?.tail && <LastLine text={record.attempt.tail} />}
        {isLoop && <Dots row={row} open={open} onOpen={setOpen} />}
        {attempt && <AttemptFacts attempt={attempt} />}
      </div>
      <div className={css.by}>
        {record.by && (
          <span title={record.by.peer ? say('activity.from', { peer: record.by.peer }) : undefined}>
            {record.by.uid} <span className="muted">· {wayOf(record.by)}</span>
          </span>
        )}
        {record.attempt && !isLoop && (
          <button type="button" className={css.fold} aria-expanded={open !== undefined}
            aria-label={say('activity.details', { n: record.attempt.number })}
            onClick={() => setOpen(open === undefined ? 0 : undefined)}>
            {open === undefined ? <ChevronRight size={15} aria-hidden /> : <ChevronDown size={15} aria-hidden />}
          </button>
        )}
        <a className={css.permalink} href={permalink(record.cursor)} aria-label={say('activity.link', { when: dayOrTime(record.at) })}>
          <Link2 size={14} aria-hidden />
        </a>
      </div>
    </li>
  );
}

/** The same page with this record on top. */
function permalink(cursor: string): string {
  const { pathname, search } = window.location;
  const tab = new URLSearchParams(search).get('tab');
  return `${pathname}?${new URLSearchParams({ ...(tab && { tab }), at: cursor })}`;
}

function Subject({ record, of }: { record: HistoryRecord; of?: string | undefined }) {
  // A node's own text begins with its name.
  if (!record.of || record.of === of || record.kind === 'node') return null;
  if (!record.of.startsWith('/')) return <strong>{record.of} </strong>;
  return (
    <>
      <Link href={appHref(record.of)}>{record.of}</Link>{' '}
    </>
  );
}

function LastLine({ text }: { text: string }) {
  const lines = plainText(text).split('\n');
  return (
    <div className={css.last}>
      <span className="muted">{say('activity.lastLine')} </span>
      <code>{lines[lines.length - 1]}</code>
    </div>
  );
}

/** A dot per attempt, the newest first. */
function Dots({ row, open, onOpen }: { row: Row; open: number | undefined; onOpen: (n?: number) => void }) {
  const [most, setMost] = useState(DOTS_MAX);
  const shown = row.records.slice(0, most);
  return (
    <div className={css.dots} role="group" aria-label={say('activity.dots')}>
      {shown.map((record, n) => (
        <button key={record.cursor} type="button" aria-pressed={n === open}
          onClick={() => onOpen(n === open ? undefined : n)}>
          <span className="visually-hidden">
            {say('activity.dot', { number: record.attempt?.number ?? '–', when: dayOrTime(record.at) })},{' '}
            <Told text={record.attempt?.exit ?? record.text} />
          </span>
          <span lang="en" className={css.dot} title={`${dayOrTime(record.at)} · ${record.text}`} aria-hidden />
        </button>
      ))}
      {row.records.length > most && (
        <Button kind="quiet" onClick={() => setMost(most + DOTS_MAX)}>
          {say('activity.more', { n: row.records.length - most })}
        </Button>
      )}
    </div>
  );
}

/** One attempt: where it ran, how it ended, the last it wrote, and its whole output on demand. */
export function AttemptFacts({ attempt }: { attempt: Attempt }) {
  return (
    <div className={css.attempt}>
      <dl>
        <Fact name={say('activity.attempt')}>
          {say('activity.ofInstance', { number: attempt.number, id: attempt.instance_id.slice(-8) })}
        </Fact>
        <Fact name={say('list.node')}><Link href={`/nodes/${encodeURIComponent(attempt.node_id)}`}>{attempt.host}</Link></Fact>
        <Fact name={say('activity.began')}>{dayOrTime(attempt.started_at ?? attempt.placed_at)}</Fact>
        <Fact name={say('activity.ended')}>{dayOrTime(attempt.ended_at)}</Fact>
        <Fact name={say('activity.end')}><Told text={attempt.exit} /></Fact>
      </dl>
      {attempt.tail && <pre className={css.tail}>{plainText(attempt.tail)}</pre>}
      <Output key={attempt.task_id} task={attempt.task_id} />
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** What an attempt wrote, as long as its node keeps it. */
function Output({ task }: { task: string }) {
  const [shown, setShown] = useState<{ file: string; text: string }>();
  const [error, setError] = useState<unknown>();
  const read = async (file: string) => {
    try {
      setError(undefined);
      setShown({ file, text: plainText(await api.logEnd(task, file)) });
    } catch (cause) {
      setShown(undefined);
      setError(cause);
    }
  };
  return (
    <>
      <div className={css.output}>
        {['stderr', 'stdout'].map((file) => (
          <Button key={file} aria-pressed={shown?.file === file} onClick={() => void read(file)}>
            {say('activity.show', { file })}
          </Button>
        ))}
        {shown && <a href={api.downloadPath(task, shown.file)} download={`${task}.${shown.file}`}>{say('activity.download')}</a>}
      </div>
      {error !== undefined && <p role="alert" className={css.refused}>{said('activity.away', { error: <Wrong error={error} /> })}</p>}
      {shown && <pre className={css.tail} tabIndex={0} aria-label={say('activity.endOf', { file: shown.file })}>{shown.text || say('activity.empty', { file: shown.file })}</pre>}
    </>
  );
}

function Select({ label, value, options, onChange }: {
  label: string; value: string; options: { id: string; text: string }[]; onChange: (id: string) => void;
}) {
  return (
    <label className={css.field}>
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map(({ id, text }) => <option key={id} value={id}>{text}</option>)}
      </select>
    </label>
  );
}

/** Text that counts a moment after the last key. */
function Typed({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text.trim()), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text, value, onChange]);
  return (
    <label className={css.field}>
      <span>{label}</span>
      <input type="search" value={text} onChange={(event) => setText(event.target.value)} />
    </label>
  );
}
