// The first view of a service: what is wrong, how a rollout goes, every instance, and the last hour.
import { FileText } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useMemo, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { App, AppSummary, Instance, Measured, Verdict } from '../api/types';
import { Chart, type Frame, type Line, type Moment } from '../charts/chart';
import { latest, lengthOf, type Range, useMeasured, valuesOf } from '../charts/measured';
import { Rollout } from '../charts/strip';
import { Waffle } from '../charts/waffle';
import { said } from '../components/said';
import { StatusLabel } from '../components/status';
import { Age, Button, Failure, Panel, Skeleton } from '../components/ui';
import { appHref, cpus, mebibytes, shortTask, timeOfDay } from '../lib/format';
import { ended, instanceLook, needsAttention } from '../lib/status';
import { number, say, sayAny } from '../words';
import { Detail, isMixed, NoInstance } from './instances';
import css from './overview.module.css';

export default function Overview({ app, row, children }: { app: App; row: AppSummary; children: ReactNode }) {
  const deployment = app.deployment_progress[0];
  const verdict = needsAttention(row) ? row.verdict : undefined;
  return (
    <>
      {deployment && (
        <Rollout
          deployment={deployment}
          app={app.id}
          instances={app.tasks}
          said={!!verdict}
        />
      )}
      <Charts of={`service:${app.id}`} reached={!!row.service_url} />
      <div className={css.columns}>
        <Squares app={app} verdict={verdict} />
        {children}
      </div>
    </>
  );
}

function Squares({ app, verdict }: { app: App; verdict: Verdict | undefined }) {
  const [byNode, setByNode] = useState(false);
  const living = useMemo(() => app.tasks.filter((task) => !ended(task)), [app.tasks]);
  return (
    <Panel
      title={say('count.instances', { n: living.length })}
      aside={
        <span className={css.aside}>
          {living.length > 1 && (
            <Button kind="quiet" aria-pressed={byNode} onClick={() => setByNode(!byNode)}>
              {say('overview.byNode')}
            </Button>
          )}
          <Link href={appHref(app.id, 'instances')}>{say('overview.asList')}</Link>
        </span>
      }
    >
      {living.length === 0 ? (
        <NoInstance wanted={app.instances.wanted} />
      ) : (
        <Waffle
          instances={living}
          mixed={isMixed(living)}
          byNode={byNode}
          about={(instance) => <About instance={instance} verdict={verdict} />}
        />
      )}
    </Panel>
  );
}

/** The chosen square in a line. */
function About({ instance, verdict }: { instance: Instance; verdict: Verdict | undefined }) {
  const { task_id, node_id, host, ports, used, mem_mb } = instance;
  const log = `${appHref(instance.app_id, 'logs')}${task_id ? `&${new URLSearchParams({ task: task_id })}` : ''}`;
  return (
    <div className={css.about}>
      <code>{shortTask(instance)}</code>
      <StatusLabel look={instanceLook(instance)} />
      {node_id && <Link href={`/nodes/${node_id}`}>{host ?? node_id}</Link>}
      {ports.length > 0 && <span className="nums">{ports.map((port) => `:${port}`).join(' ')}</span>}
      {used && (
        <span className="nums">
          {said('overview.used', {
            cpus: cpus(used.cpus),
            mem: mebibytes(used.mem_mb),
            of: <span className="muted">{say('overview.of', { size: mebibytes(mem_mb) })}</span>,
          })}
        </span>
      )}
      <span className="muted">{said('overview.since', { age: <Age at={instance.since} /> })}</span>
      <Link href={log}>
        <FileText size={14} aria-hidden /> {say('instances.log')}
      </Link>
      <Detail task={instance} said={verdict} className={css.message} />
    </div>
  );
}

const RANGES: Range[] = ['1h', '24h'];

function Charts({ of, reached }: { of: string; reached: boolean }) {
  const [search, setSearch] = useSearchParams();
  const range: Range = search.get('range') === '24h' ? '24h' : '1h';
  const { data, error, refetch } = useMeasured(of, range);
  const [cursor, setCursor] = useState<number>();
  const turn = (next: Range) =>
    setSearch(
      (old) => {
        const params = new URLSearchParams(old);
        if (next === '1h') params.delete('range');
        else params.set('range', next);
        return params;
      },
      { replace: true },
    );
  return (
    <Panel
      title={say('overview.use')}
      aside={
        <span className={css.aside}>
          <Told measured={data} cursor={cursor} />
          <span role="group" aria-label={say('overview.time')} className={css.ranges}>
            {RANGES.map((id) => (
              <button key={id} type="button" aria-pressed={id === range} onClick={() => turn(id)}>
                {say(`overview.range.${id}`)}
              </button>
            ))}
          </span>
        </span>
      }
    >
      {data ? (
        <Grid measured={data} reached={reached} cursor={cursor} onCursor={setCursor} />
      ) : error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <Skeleton rows={4} />
      )}
    </Panel>
  );
}

/** The moment that is pointed at. */
function Told({ measured, cursor }: { measured: Measured | undefined; cursor: number | undefined }) {
  if (!measured || cursor === undefined) return null;
  const at = new Date(Date.parse(measured.start) + cursor * measured.step_s * 1000);
  return (
    <time className="nums" dateTime={at.toISOString()} aria-live="polite">
      {timeOfDay(at)}
    </time>
  );
}

const perSecond = (value: number) => say('overview.perSecond', { n: number(value, value >= 100 ? 0 : 2) });
const milliseconds = (value: number) =>
  value >= 1000 ? `${number(value / 1000, 1)} s` : `${number(value, value >= 10 ? 0 : 1)} ms`;
const whole = (value: number) => (Number.isInteger(value) ? number(value) : '');

/** Lines by name; a percentile is called alike everywhere. */
type LineName = 'used' | 'reserved' | 'limit' | 'restarts' | 'answered' | 'errors' | 'p50' | 'p99';

function Grid({
  measured,
  reached,
  cursor,
  onCursor,
}: {
  measured: Measured;
  reached: boolean;
  cursor: number | undefined;
  onCursor: (step: number | undefined) => void;
}) {
  const n = Math.max(1, lengthOf(measured));
  const moments = useMemo<Moment[]>(
    () =>
      (measured.marks ?? []).map(({ at }) => ({
        at: Date.parse(at),
        text: say('overview.changedAt', { time: timeOfDay(new Date(at)) }),
      })),
    [measured.marks],
  );
  const frame: Frame = {
    start: Date.parse(measured.start),
    stepMs: measured.step_s * 1000,
    n,
    moments,
    cursor,
    onCursor,
  };
  const line = (name: LineName, series: string, hue: string, look: Line['look']): Line[] => {
    const values = valuesOf(measured, series);
    return values ? [{ name: sayAny(`overview.line.${name}`) ?? name, values, hue, look }] : [];
  };
  const kills = (valuesOf(measured, 'oom_kills') ?? []).flatMap((value, step) => (value ? [step] : []));
  // The step that goes on now has no number yet.
  const ends = (measured.series ?? []).map(({ values }) => values.findLastIndex((value) => value !== null));
  const newest = Math.max(...ends, 0);
  const onKeyDown = (event: KeyboardEvent) => {
    const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
    const step = by[event.key];
    if (event.key === 'Escape') onCursor(undefined);
    else if (event.key === 'Home' || event.key === 'End') onCursor(event.key === 'Home' ? 0 : newest);
    else if (step) onCursor(Math.min(n - 1, Math.max(0, (cursor ?? newest) + step)));
    else return;
    event.preventDefault();
  };
  // Said in full once, by the first chart.
  const nothing = say('overview.notYet');
  const traffic = latest(valuesOf(measured, 'requests')) !== undefined;
  const none = reached ? nothing : say('overview.front');
  return (
    // The arrow keys move the cursor that the charts share.
    <div
      className={css.grid}
      role="group"
      aria-label={say('overview.charts')}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <Chart
        title={say('list.cpu')}
        frame={frame}
        format={(value) => cpus(value)}
        empty={say('overview.nothing')}
        lines={[
          ...line('used', 'cpus_used', 'cpu', 'area'),
          ...line('reserved', 'cpus_reserved', 'cpu', 'bound'),
        ]}
      />
      <Chart
        title={say('list.memory')}
        frame={frame}
        format={mebibytes}
        binary
        empty={nothing}
        alarms={kills.length > 0 ? { steps: kills, text: say('overview.outOfMemory') } : undefined}
        lines={[
          ...line('used', 'mem_used', 'memory', 'area'),
          ...line('limit', 'mem_limit', 'memory', 'bound'),
        ]}
      />
      <Chart
        title={say('overview.restarts')}
        frame={frame}
        format={whole}
        empty={say(`overview.noRestart.${measured.range === '1h' ? '1h' : '24h'}`)}
        lines={line('restarts', 'restarts', 'bad', 'bars').filter(({ values }) => values.some((value) => value))}
      />
      <div className={css.pair}>
        <Chart
          title={say('overview.requests')}
          frame={frame}
          format={perSecond}
          empty={none}
          height={traffic ? 52 : undefined}
          lines={[
            ...line('answered', 'requests', 'accent', 'area'),
            ...line('errors', 'errors', 'bad', 'line').filter(({ values }) => values.some((value) => value)),
          ]}
        />
        {traffic && (
          <Chart
            title={say('overview.latency')}
            frame={frame}
            format={milliseconds}
            empty={say('overview.noRequest')}
            height={52}
            lines={[
              ...line('p99', 'latency_p99', 'attention', 'line'),
              ...line('p50', 'latency_p50', 'disk', 'line'),
            ]}
          />
        )}
      </div>
    </div>
  );
}
