// What a service wrote: all instances in one list by time, searched by the cluster, live, and back as far as
// it is kept.
import { ArrowDownToLine, Download, Pause, Play, SlidersHorizontal } from 'lucide-react';
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { useSearchParams } from 'wouter';
import { ApiError, api } from '../api/client';
import type { App } from '../api/types';
import { Menu } from '../components/menu';
import { toast } from '../components/toast';
import { Button, copyText, Empty, Failure, Notice, Panel } from '../components/ui';
import { plain } from '../lib/ansi';
import { splitId } from '../lib/format';
import { asking, marker } from '../lib/pattern';
import { ended } from '../lib/status';
import { useStored } from '../lib/stored';
import { say } from '../words';
import { type Address, isAt, linkTo, read, written } from './address';
import { Chart } from './chart';
import { type Context, around, interleaved } from './context';
import { parts } from './histogram';
import type { Line } from './line';
import { LineTools } from './linetools';
import { hits, nextHit } from './marks';
import { type Launched, launchedOf, nameOf, taskParts } from './names';
import { type Handle, Output } from './output';
import { Reader, type View } from './reader';
import { asText, fileName, saveFrom, saveText } from './save';
import css from './screen.module.css';
import { Search } from './search';
import { Sheet } from './sheet';
import { narrowTimes, times as storedTimes, wraps } from './times';
import { type Set as Change, Tools } from './tools';
import toolsCss from './tools.module.css';
import { useKeys } from '../lib/keys';
import { useNarrow, useNow } from './usewindow';

export default function Logs({ app }: { app: App }) {
  const [search, setSearch] = useSearchParams();
  const address = read(search);
  const tasks = launchedOf(app.tasks);
  const set: Change = (changes) => setSearch((old) => written(old, changes), { replace: true });
  const [epoch, setEpoch] = useState(0);
  if (tasks.length === 0 && !address.task) {
    return (
      <Panel>
        <Empty title={say('log.none')}>{say('log.noneText')}</Empty>
      </Panel>
    );
  }
  const again = () => {
    if (address.at !== undefined) set({ at: undefined, line: undefined });
    setEpoch(epoch + 1);
  };
  return <Workbench key={epoch} app={app} tasks={tasks} address={address} search={search} set={set} onAnew={again} />;
}

interface Props {
  app: App;
  tasks: readonly Launched[];
  address: Address;
  search: URLSearchParams;
  set: Change;
  /** Begins anew at the newest lines. */
  onAnew: () => void;
}

/** The lines that are asked for, as they come. */
function useReader(app: App, tasks: readonly Launched[], address: Address): [Reader, View] {
  const { line } = address;
  // A line of a link may be of an attempt that has ended since.
  const previous = address.previous || (!!line && !address.task && !tasks.some((task) => task.task_id === line.task));
  const asked = JSON.stringify({
    of: address.task || app.id,
    grep: address.all ? '' : address.grep,
    cased: address.cased,
    stream: address.stream,
    previous,
    at: address.at,
  });
  const reader = useMemo(() => new Reader(JSON.parse(asked)), [asked]);
  useEffect(() => reader.start(), [reader]);
  return [reader, useSyncExternalStore(reader.subscribe, reader.get)];
}

function Workbench({ app, tasks, address, search, set, onAnew }: Props) {
  const [reader, view] = useReader(app, tasks, address);
  const { held, state, error, streams } = view;
  const narrow = useNarrow();
  const times = useStored(narrow ? narrowTimes : storedTimes);
  const wrap = useStored(wraps) === 'wrap';
  const now = useNow(times === 'age');
  const handle = useRef<Handle>(null);
  const [paused, setPaused] = useState(false);
  const [sheet, setSheet] = useState(false);
  const [atEnd, setAtEnd] = useState(true);
  const [first, setFirst] = useState(0);
  const [current, setCurrent] = useState<number>();
  const [contexts, setContexts] = useState<ReadonlyMap<number, Context>>(new Map());

  const instance = taskParts(address.task)?.instance;
  const part = taskParts(address.task)?.container;
  const task =
    tasks.find((one) => one.task_id === address.task) ??
    tasks.find((one) => one.id === address.task || (one.id === instance && (!one.part || one.part.name === part)));
  const present = useMemo(() => new Set(tasks.map((one) => one.task_id)), [tasks.map((one) => one.task_id).join()]);
  const several = !address.task || address.previous;
  const named = useCallback((line: Line) => nameOf(line.task, present), [present]);

  const mark = useMemo(() => marker(address.grep, address.cased), [address.grep, address.cased]);
  const levels = address.levels.join();
  const chosen = useMemo(() => {
    const shown = new Set(levels.split(','));
    return levels ? held.lines.filter((line) => shown.has(line.level)) : held.lines;
  }, [held.lines, levels]);
  const { lines, asides } = useMemo(() => interleaved(chosen, contexts), [chosen, contexts]);
  const found = useMemo(() => {
    if (!address.grep) return [];
    // Those the cluster found match, whatever the browser thinks of the pattern.
    return address.all ? hits(lines, mark) : lines.flatMap((line, i) => (asides.has(line.n) ? [] : [i]));
  }, [lines, asides, address.grep, address.all, mark]);
  const row = lines.findIndex((line) => line.n === current);
  const line = lines[row];
  const hit = row < 0 ? -1 : found.indexOf(row);

  useEffect(() => reader.pause(paused), [reader, paused]);
  const lineGone = useLink(reader, view, address, lines, (at) => {
    if (address.line) setCurrent(lines[at]?.n);
    handle.current?.show(at, address.line ? 'middle' : 'top');
  });

  const goTo = (to: number) => {
    setCurrent(lines[to]?.n);
    handle.current?.show(to);
  };
  const goHit = async (step: 1 | -1) => {
    const from = row >= 0 ? row : step > 0 ? first - 1 : lines.length;
    const next = step > 0 ? found.find((i) => i > from) : found.findLast((i) => i < from);
    if (next !== undefined) return goTo(next);
    const pattern = asking(address.grep, address.cased);
    const beyond = await reader.beyond(pattern, step).catch(() => undefined);
    if (beyond?.at) return set({ at: beyond.at, line: `${beyond.task}~${beyond.stream}~${beyond.offset}` });
    const round = nextHit(found, from, step);
    if (round === undefined || round === row) toast(say('log.noMore'));
    else goTo(round);
  };
  const toggleContext = async () => {
    if (!line?.at) return;
    const next = new Map(contexts);
    if (!next.delete(line.n)) next.set(line.n, await around(line));
    setContexts(next);
  };
  const link = line && linkTo(search, line);
  const copyLink = () => {
    if (!link) return;
    const url = new URL(window.location.href);
    url.search = `${link}`;
    void copyText(url.href).then(() => toast(say('log.linkCopied')));
  };
  const step = (by: 1 | -1) => goTo(Math.max(0, Math.min(lines.length - 1, row < 0 ? first : row + by)));
  useKeys({
    ...(address.grep && { n: () => void goHit(1), N: () => void goHit(-1) }),
    j: () => step(1),
    k: () => step(-1),
    ...(line && { z: () => void toggleContext(), y: copyLink }),
  });

  const partsOf = useMemo(() => parts(lines), [lines]);
  const moved = useCallback((at: number, end: boolean) => {
    setFirst(at);
    setAtEnd(end);
  }, []);
  const pick = useCallback((to: number) => handle.current?.show(to, 'top'), []);
  const toEnd = () => (held.after ? onAnew() : handle.current?.toEnd());

  if (state === 'failed' && address.task && error instanceof ApiError && error.status === 404) {
    return (
      <Panel>
        <Empty title={say('log.gone')} action={<Button onClick={() => set({ task: undefined, line: undefined, at: undefined })}>{say('log.showAll')}</Button>}>
          {say('log.goneText', { task: address.task })}
        </Empty>
      </Panel>
    );
  }
  const tools = <Tools tasks={tasks} task={task} address={address} set={set} narrow={narrow} />;
  const save = () => {
    const name = fileName(splitId(app.id).name, address.task ? named({ task: address.task } as Line) : 'all', address.stream || 'output');
    const files = task ? [address.task && taskParts(address.task) ? address.task : task.task_id] : line ? [line.task] : [];
    return [
      [{ text: say('log.saveShown', { n: lines.length }), disabled: lines.length === 0, onSelect: () => saveText(asText(lines, several ? named : undefined), name) }],
      files.flatMap((of) =>
        ['stdout', 'stderr'].map((stream) => ({
          text: say('log.saveFile', { stream, name: nameOf(of, present) }),
          disabled: false,
          onSelect: () => saveFrom(api.downloadPath(of, stream), fileName(splitId(app.id).name, nameOf(of, present), stream)),
        })),
      ),
    ];
  };
  return (
    <Panel flush className={css.panel}>
      <div className={toolsCss.tools}>
        {!narrow && tools}
        <Search address={address} set={set} narrow={narrow} n={found.length} at={hit < 0 ? undefined : hit} onHit={(by) => void goHit(by)} />
        <Button kind="quiet" onClick={() => setPaused(!paused)} aria-pressed={paused} aria-label={say(paused ? 'log.goOn' : 'log.pause')} title={say(paused ? 'log.goOn' : 'log.pause')}>
          {paused ? <Play size={15} aria-hidden /> : <Pause size={15} aria-hidden />}
        </Button>
        {!narrow && (
          <Menu
            trigger={
              <Button kind="quiet" aria-label={say('log.save')} title={say('log.save')}>
                <Download size={16} aria-hidden />
              </Button>
            }
            groups={save}
          />
        )}
        {narrow && (
          <Button kind="quiet" aria-label={say('log.tools')} title={say('log.tools')} aria-haspopup="dialog" onClick={() => setSheet(true)}>
            <SlidersHorizontal size={16} aria-hidden />
          </Button>
        )}
      </div>
      {sheet && narrow && (
        <Sheet onClose={() => setSheet(false)}>
          {tools}
          {save().flat().map((item) => (
            <Button key={item.text} disabled={item.disabled} onClick={item.onSelect}>
              <Download size={16} aria-hidden />
              {item.text}
            </Button>
          ))}
        </Sheet>
      )}
      <Troubles view={view} present={present} lineGone={lineGone} />
      <div className={css.frame}>
        <Chart parts={partsOf} line={first} times={times} onPick={pick} />
        <Output
          handle={handle}
          lines={lines}
          asides={asides}
          current={current}
          times={times}
          now={now}
          wrap={wrap}
          mark={mark}
          nameOf={several ? named : undefined}
          live={!held.after && address.at === undefined}
          onOlder={() => void reader.older()}
          onNewer={() => void reader.newer()}
          onCurrent={(one) => setCurrent(one.n === current ? undefined : one.n)}
          onMove={moved}
          top={<Older view={view} levels={levels} address={address} lines={lines} onOlder={() => void reader.older()} />}
          bottom={
            held.after && lines.length > 0 ? (
              <p className={css.around}>
                <Button kind="quiet" busy={view.seeking} onClick={() => void reader.newer()}>
                  {say('log.newer')}
                </Button>
              </p>
            ) : null
          }
        />
        {line && (
          <LineTools
            name={named(line)}
            context={line.at ? contexts.has(line.n) : undefined}
            onContext={() => void toggleContext()}
            onLink={link && copyLink}
            onCopy={() => void copyText(plain(line.text))}
          />
        )}
        {(!atEnd || held.after) && lines.length > 0 && (
          <Button className={css.end} onClick={toEnd}>
            <ArrowDownToLine size={15} aria-hidden />
            {say('log.toEnd')}
          </Button>
        )}
        <div className={css.foot}>
          <span role="status">{status(view, paused, !!task && ended(task))}</span>
          <span className={css.spacer} />
          <span>{say('log.lines', { n: lines.length })}</span>
        </div>
      </div>
      {state === 'failed' && !(error instanceof ApiError && error.status === 422) && <Failure error={error} retry={onAnew} />}
      {streams.length > 0 && !streams.some(({ cut }) => cut !== 'not_kept') && lines.length === 0 && address.task && <Notice tone="neutral">{say('log.notKept')}</Notice>}
    </Panel>
  );
}

function status({ state, waiting }: View, paused: boolean, over: boolean): string {
  if (paused) return waiting > 0 ? say('log.waiting', { n: waiting }) : say('log.paused');
  return say(state === 'following' && over ? 'log.state.ended' : `log.state.${state}`);
}

/** Goes to the line or the time of the address once it is there; whether the line is gone. */
function useLink(reader: Reader, { state, held }: View, { at, line }: Address, lines: readonly Line[], go: (row: number) => void): boolean {
  const done = useRef<Reader>(undefined);
  const [gone, setGone] = useState(false);
  useEffect(() => {
    if (done.current === reader || at === undefined || state === 'opening' || state === 'failed' || held.lines.length === 0) return;
    done.current = reader;
    const there = line ? lines.findIndex((candidate) => isAt(candidate, line)) : -1;
    setGone(!!line && there < 0);
    const near = lines.findIndex((candidate) => candidate.ms >= at);
    const row = there >= 0 ? there : near >= 0 ? near : lines.length - 1;
    if (row >= 0) requestAnimationFrame(() => go(row));
  }, [reader, state, held.lines, at]);
  return gone;
}

/** What is missing in the list, and why. */
function Troubles({ view, present, lineGone }: { view: View; present: ReadonlySet<string>; lineGone: boolean }) {
  const away = [...new Set(view.streams.filter((s) => s.cut === 'unreachable').map((s) => s.host))];
  const behind = [...new Set(view.streams.filter((s) => s.cut === 'behind').map((s) => nameOf(s.task, present)))];
  return (
    <>
      {lineGone && <Notice tone="attention">{say('log.lineGone')}</Notice>}
      {away.length > 0 && <Notice tone="attention">{say('log.away', { hosts: away.join(', ') })}</Notice>}
      {behind.length > 0 && <Notice tone="attention">{say('log.behind', { names: behind.join(', ') })}</Notice>}
    </>
  );
}

interface OlderProps {
  view: View;
  levels: string;
  address: Address;
  lines: readonly Line[];
  onOlder: () => void;
}

/** The way back, and what is said of an empty list. */
function Older({ view: { held, seeking, state, error }, levels, address, lines, onOlder }: OlderProps) {
  const none = () => {
    if (state === 'failed') return error instanceof ApiError ? error.message : '';
    if (state === 'opening') return '';
    if (levels && held.lines.length > 0) return say('log.noLevel');
    return address.grep && !address.all ? say('log.noMatch', { pattern: address.grep }) : say('log.nothing');
  };
  return (
    <>
      {lines.length === 0 && <p className={css.none}>{none()}</p>}
      {held.before && (
        <p className={css.around}>
          <Button kind="quiet" busy={seeking} onClick={onOlder}>
            {say(lines.length > 0 ? 'log.older' : 'log.searchBack')}
          </Button>
        </p>
      )}
    </>
  );
}
