// The first view of a service: what is wrong, how a rollout goes, every instance, and the last hour.
import { FileText } from 'lucide-react';
import { type ReactNode, useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { App, AppSummary, Instance, Verdict } from '../api/types';
import { Chart } from '../charts/chart';
import { latest, valuesOf } from '../charts/measured';
import { Charts, milliseconds, perSecond, type Shown, whole } from '../charts/panel';
import { Rollout } from '../charts/strip';
import { Waffle } from '../charts/waffle';
import { said } from '../components/said';
import { StatusLabel } from '../components/status';
import { Age, Button, Panel } from '../components/ui';
import { appHref, cpus, mebibytes, shortTask } from '../lib/format';
import { ended, instanceLook, needsAttention } from '../lib/status';
import { say } from '../words';
import { Containers } from './containers';
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
      <Charts of={`service:${app.id}`}>{(shown) => <OfService shown={shown} reached={!!row.service_url} />}</Charts>
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
      {instance.containers && <Containers of={instance} />}
    </div>
  );
}

function OfService({ shown: { measured, frame, line }, reached }: { shown: Shown; reached: boolean }) {
  const kills = (valuesOf(measured, 'oom_kills') ?? []).flatMap((value, step) => (value ? [step] : []));
  // Said in full once, by the first chart.
  const nothing = say('overview.notYet');
  const traffic = latest(valuesOf(measured, 'requests')) !== undefined;
  const none = reached ? nothing : say('overview.front');
  return (
    <>
      <Chart
        title={say('list.cpu')}
        frame={frame}
        format={(value) => cpus(value)}
        empty={say('overview.nothing')}
        lines={[...line('used', 'cpus_used', 'cpu', 'area'), ...line('reserved', 'cpus_reserved', 'cpu', 'bound')]}
      />
      <Chart
        title={say('list.memory')}
        frame={frame}
        format={mebibytes}
        binary
        empty={nothing}
        alarms={kills.length > 0 ? { steps: kills, text: say('overview.outOfMemory') } : undefined}
        lines={[...line('used', 'mem_used', 'memory', 'area'), ...line('limit', 'mem_limit', 'memory', 'bound')]}
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
            lines={[...line('p99', 'latency_p99', 'attention', 'line'), ...line('p50', 'latency_p50', 'disk', 'line')]}
          />
        )}
      </div>
    </>
  );
}
