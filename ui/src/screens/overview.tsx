// The first view of a service: what is wrong, how a rollout goes, every instance, and the last hour.
import { FileText } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useMemo, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import type { App, AppSummary, Instance, Measured, Verdict } from '../api/types';
import { Chart, type Frame, type Line, type Moment } from '../charts/chart';
import { latest, lengthOf, type Range, useMeasured, valuesOf } from '../charts/measured';
import { Rollout } from '../charts/strip';
import { Waffle } from '../charts/waffle';
import { StatusLabel } from '../components/status';
import { Age, Button, Empty, Failure, Panel, Skeleton } from '../components/ui';
import { appHref, count, cpus, mebibytes, shortTask } from '../lib/format';
import { ended, instanceLook, needsAttention } from '../lib/status';
import { detail } from './instances';
import css from './overview.module.css';

export default function Overview({ app, row, children }: { app: App; row: AppSummary; children: ReactNode }) {
  const deployment = app.deployment_progress[0];
  const said = needsAttention(row) ? row.verdict : undefined;
  return (
    <>
      {deployment && (
        <Rollout
          deployment={deployment}
          app={app.id}
          version={app.version}
          instances={app.tasks}
          said={!!said}
        />
      )}
      <Charts of={`service:${app.id}`} reached={!!row.service_url} />
      <div className={css.columns}>
        <Squares app={app} said={said} />
        {children}
      </div>
    </>
  );
}

function Squares({ app, said }: { app: App; said: Verdict | undefined }) {
  const [byNode, setByNode] = useState(false);
  const living = useMemo(() => app.tasks.filter((task) => !ended(task)), [app.tasks]);
  const versions = [...new Set(living.map((task) => task.version))].sort();
  return (
    <Panel
      title={count(living.length, 'instance')}
      aside={
        <span className={css.aside}>
          {living.length > 1 && (
            <Button kind="quiet" aria-pressed={byNode} onClick={() => setByNode(!byNode)}>
              By node
            </Button>
          )}
          <Link href={appHref(app.id, 'instances')}>As a list</Link>
        </span>
      }
    >
      {living.length === 0 ? (
        <Empty title="No instance runs">
          {app.instances.wanted === 0
            ? 'None is wanted: scale the service to start some.'
            : 'None has been placed so far.'}
        </Empty>
      ) : (
        <Waffle
          instances={living}
          newest={versions.length > 1 ? versions.at(-1) : undefined}
          byNode={byNode}
          about={(instance) => <About instance={instance} said={said} />}
        />
      )}
    </Panel>
  );
}

/** The chosen square in a line. */
function About({ instance, said }: { instance: Instance; said: Verdict | undefined }) {
  const { task_id, node_id, host, ports, used, mem_mb } = instance;
  const why = detail(instance, said);
  const log = `${appHref(instance.app_id, 'logs')}${task_id ? `&${new URLSearchParams({ task: task_id })}` : ''}`;
  return (
    <div className={css.about}>
      <code>{shortTask(instance)}</code>
      <StatusLabel look={instanceLook(instance)} />
      {node_id && <Link href={`/nodes/${node_id}`}>{host ?? node_id}</Link>}
      {ports.length > 0 && <span className="nums">{ports.map((port) => `:${port}`).join(' ')}</span>}
      {used && (
        <span className="nums">
          {cpus(used.cpus)} cpus, {mebibytes(used.mem_mb)} <span className="muted">of {mebibytes(mem_mb)}</span>
        </span>
      )}
      <span className="muted">
        since <Age at={instance.since} />
      </span>
      <Link href={log}>
        <FileText size={14} aria-hidden /> Log
      </Link>
      {why && (
        <span lang="en" className={css.message}>
          {why}
        </span>
      )}
    </div>
  );
}

const RANGES: { id: Range; text: string }[] = [
  { id: '1h', text: '1 hour' },
  { id: '24h', text: '24 hours' },
];

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
      title="Use and traffic"
      aside={
        <span className={css.aside}>
          <Told measured={data} cursor={cursor} />
          <span role="group" aria-label="Time shown" className={css.ranges}>
            {RANGES.map(({ id, text }) => (
              <button key={id} type="button" aria-pressed={id === range} onClick={() => turn(id)}>
                {text}
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
      {at.toLocaleTimeString()}
    </time>
  );
}

const perSecond = (value: number) => `${value >= 100 ? Math.round(value) : Math.round(value * 100) / 100}/s`;
const milliseconds = (value: number) =>
  value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value >= 10 ? Math.round(value) : value.toFixed(1)} ms`;
const whole = (value: number) => (Number.isInteger(value) ? value.toString() : '');

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
        text: `Changed at ${new Date(at).toLocaleTimeString()}`,
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
  const line = (name: string, series: string, hue: string, look: Line['look']): Line[] => {
    const values = valuesOf(measured, series);
    return values ? [{ name, values, hue, look }] : [];
  };
  const kills = (valuesOf(measured, 'oom_kills') ?? []).flatMap((value, step) => (value ? [step] : []));
  const onKeyDown = (event: KeyboardEvent) => {
    const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 };
    const step = by[event.key];
    if (event.key === 'Escape') onCursor(undefined);
    else if (event.key === 'Home' || event.key === 'End') onCursor(event.key === 'Home' ? 0 : n - 1);
    else if (step) onCursor(Math.min(n - 1, Math.max(0, (cursor ?? n - 1) + step)));
    else return;
    event.preventDefault();
  };
  const nothing = 'Nothing was measured yet; the first numbers come within 10 s of a start.';
  const traffic = latest(valuesOf(measured, 'requests')) !== undefined;
  const none = reached
    ? nothing
    : 'Requests are counted where they come through the front door: give the service the labels DCOS_SERVICE_NAME, DCOS_SERVICE_SCHEME and DCOS_SERVICE_PORT_INDEX.';
  return (
    // The arrow keys move the cursor that the charts share.
    <div
      className={css.grid}
      role="group"
      aria-label="Charts; the arrow keys move through time"
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <Chart
        title="CPU"
        frame={frame}
        format={(value) => cpus(value)}
        empty={nothing}
        lines={[
          ...line('used', 'cpus_used', 'cpu', 'area'),
          ...line('reserved', 'cpus_reserved', 'cpu', 'bound'),
        ]}
      />
      <Chart
        title="Memory"
        frame={frame}
        format={mebibytes}
        binary
        empty={nothing}
        alarms={kills.length > 0 ? { steps: kills, text: 'Ended at its memory limit' } : undefined}
        lines={[
          ...line('used', 'mem_used', 'memory', 'area'),
          ...line('limit', 'mem_limit', 'memory', 'bound'),
        ]}
      />
      <Chart
        title="Restarts"
        frame={frame}
        format={whole}
        empty={measured.range === '1h' ? 'None in the last hour.' : 'None in the last 24 hours.'}
        lines={line('restarts', 'restarts', 'bad', 'bars').filter(({ values }) => values.some((value) => value))}
      />
      <div className={css.pair}>
        <Chart
          title="Requests"
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
            title="Latency"
            frame={frame}
            format={milliseconds}
            empty="No request in this time."
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
