// Instances of a service: where each is, how it is, what can be done to it.
import { EllipsisVertical, FileText, FolderOpen, OctagonX, SquareTerminal } from 'lucide-react';
import { useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { api, calls } from '../api/client';
import type { App, Instance, Verdict } from '../api/types';
import { Check } from '../components/field';
import { Menu } from '../components/menu';
import { Told } from '../components/said';
import { StatusLabel } from '../components/status';
import { type Column, rowAction, type Sort, sorted, Table } from '../components/table';
import { Age, Button, Copy, Empty, Panel } from '../components/ui';
import { type Kind, openTab, useDock } from '../dock/dock';
import { appHref, mebibytes, shortTask } from '../lib/format';
import { ended, instanceLook, isSaid } from '../lib/status';
import { useKeys } from '../lib/keys';
import { say } from '../words';
import { Change } from './actions';
import { Containers } from './containers';
import { InstanceBulk, useInstanceFilter, useInstances } from './instancebulk';
import css from './instances.module.css';

/** Why an instance is as it is; nothing where the verdict about its service says it already. */
export function Detail({ task, said, className }: { task: Instance; said?: Verdict | undefined; className?: string | undefined }) {
  const { sentence, cause, state } = task.verdict;
  if (said && isSaid(said, cause ?? sentence)) return null;
  if (cause) return <Told text={cause} className={className} hover />;
  if (state !== 'running' && state !== 'stopped') return <Told text={sentence} className={className} hover />;
  if (task.exit_code === undefined || !ended(task)) return null;
  return <span className={className}>{say('instances.exitCode', { code: `${task.exit_code}` })}</span>;
}

/** In place of a list or a picture of no instances. */
export function NoInstance({ wanted }: { wanted: number }) {
  return (
    <Empty title={say('instances.noneRuns')}>
      {wanted === 0 ? say('instances.noneWanted') : say('instances.nonePlaced')}
    </Empty>
  );
}

/** Where the instance listens: its node's ports, or the container's own address when it has none. */
function addresses(task: Instance): string[] {
  if (task.host && task.ports.length > 0) return task.ports.map((port) => `${task.host}:${port}`);
  return task.ip_addresses.filter((ip) => ip !== task.host);
}

export function logHref(task: Instance): string {
  const href = appHref(task.app_id, 'logs');
  return task.task_id ? `${href}&${new URLSearchParams({ task: task.task_id })}` : href;
}

/** Whether a shell can be opened: the container is there. */
function hasShell(task: Instance): boolean {
  return !ended(task) && task.condition === 'running';
}

/** `x` and `f` are meant for the row under the focus or the pointer, or for the only one there is. */
export function useRowKeys(rows: readonly Instance[], shells: boolean): void {
  const open = (kind: Kind) => {
    const row =
      document.querySelector('[role="row"]:focus-within [data-task]') ??
      document.querySelector('[role="row"]:hover [data-task]');
    const id = row?.getAttribute('data-task');
    const task = id ? rows.find((other) => other.id === id) : rows.length === 1 ? rows[0] : undefined;
    if (task && (kind === 'files' ? task.task_id : shells && hasShell(task))) openTab(kind, task);
  };
  useKeys({ x: () => open('shell'), f: () => open('files') });
}

export function instanceColumns(options: {
  app: boolean;
  /** Instances of an earlier definition run beside those of the present one. */
  mixed?: boolean;
  kill: (task: Instance) => void;
  go: (href: string) => void;
  /** Whether the user may open shells. */
  shells: boolean;
}): Column<Instance>[] {
  const name: Column<Instance> = options.app
    ? {
        id: 'app',
        head: say('search.service'),
        width: 'minmax(160px, 2fr)',
        phone: 'top',
        compare: (a, b) => a.app_id.localeCompare(b.app_id),
        cell: (task) => (
          <Link href={appHref(task.app_id)} data-task={task.id}>
            {task.app_id}
          </Link>
        ),
      }
    : {
        id: 'id',
        head: say('instances.instance'),
        width: '116px',
        phone: 'top',
        compare: (a, b) => (a.version ?? '').localeCompare(b.version ?? ''),
        cell: (task) => (
          <span className={css.id}>
            <span className={css.short}>
              <code title={task.task_id ?? task.id} data-task={task.id}>
                {shortTask(task)}
              </code>
              <Copy text={task.task_id ?? task.id} label={say('instances.copyId', { id: task.task_id ?? task.id })} />
            </span>
            {options.mixed && (
              <span className={css.version}>{say(task.outdated ? 'instances.oldVersion' : 'instances.newVersion')}</span>
            )}
          </span>
        ),
      };
  const where: Column<Instance> = {
    id: 'node',
    head: say('list.node'),
    width: 'minmax(110px, 1fr)',
    compare: (a, b) => (a.host ?? '').localeCompare(b.host ?? '', 'en', { numeric: true }),
    cell: (task) => (task.node_id ? <Link href={`/nodes/${task.node_id}`}>{task.host ?? task.node_id}</Link> : '–'),
  };
  return [
    name,
    {
      id: 'status',
      head: say('list.status'),
      width: 'minmax(130px, 1.6fr)',
      phone: 'end',
      compare: (a, b) => a.condition.localeCompare(b.condition),
      cell: (task) => (
        <div className={css.status}>
          <StatusLabel look={instanceLook(task)} />
          <Detail task={task} className={`truncate ${css.message}`} />
          {task.containers && <Containers of={task} />}
        </div>
      ),
    },
    ...(options.app ? [] : [where]),
    {
      id: 'address',
      head: say('instances.address'),
      width: 'minmax(160px, 1fr)',
      phone: 'none',
      from: 870,
      cell: (task) => (
        <ul className={css.addresses}>
          {addresses(task).map((address) => (
            <li key={address}>
              <code>{address}</code>
              <Copy text={address} label={say('instances.copyAddress', { address })} />
            </li>
          ))}
        </ul>
      ),
    },
    {
      id: 'memory',
      head: say('list.memory'),
      width: '144px',
      align: 'end',
      phone: 'none',
      from: 730,
      compare: (a, b) => (a.used?.mem_mb ?? a.mem_mb) - (b.used?.mem_mb ?? b.mem_mb),
      cell: (task) => (
        <span>
          {task.used?.mem_mb !== undefined && `${mebibytes(task.used.mem_mb)} `}
          <span className="muted">
            {task.used?.mem_mb === undefined ? mebibytes(task.mem_mb) : say('overview.of', { size: mebibytes(task.mem_mb) })}
          </span>
        </span>
      ),
    },
    {
      id: 'since',
      head: say('instances.since'),
      width: '60px',
      align: 'end',
      compare: (a, b) => (a.since < b.since ? 1 : -1),
      cell: (task) => <Age at={task.since} />,
    },
    {
      id: 'actions',
      head: '',
      width: '64px',
      align: 'end',
      phone: 'foot',
      cell: (task) => (
        <span className={`${css.actions} ${rowAction}`}>
          {task.task_id && (
            <Link href={logHref(task)} aria-label={say('instances.logOf', { id: shortTask(task) })} title={say('instances.log')}>
              <FileText size={15} aria-hidden />
            </Link>
          )}
          {task.task_id && (
            <Menu
              groups={[
                [
                  ...(options.shells && hasShell(task)
                    ? [{ text: say('instances.shell'), icon: <SquareTerminal size={15} />, onSelect: () => openTab('shell', task) }]
                    : []),
                  { text: say('instances.log'), icon: <FileText size={15} />, onSelect: () => options.go(logHref(task)) },
                  { text: say('instances.files'), icon: <FolderOpen size={15} />, onSelect: () => openTab('files', task) },
                ],
                ended(task)
                  ? []
                  : [{ text: say('kill.stop…'), icon: <OctagonX size={15} />, danger: true, onSelect: () => options.kill(task) }],
              ]}
              trigger={
                <button type="button" aria-label={say('instances.actions', { id: shortTask(task) })}>
                  <EllipsisVertical size={16} aria-hidden />
                </button>
              }
            />
          )}
        </span>
      ),
    },
  ];
}

export function Instances({ app }: { app: App }) {
  const [past, setPast] = useState(false);
  const over = app.tasks.filter(ended).length;
  const rows = past ? app.tasks : app.tasks.filter((task) => !ended(task));
  return (
    <Panel
      flush
      title={say('count.instances', { n: app.tasks.length - over })}
      aside={
        over > 0 && (
          <Button kind="quiet" aria-pressed={past} onClick={() => setPast(!past)}>
            {past ? say('instances.hideEnded', { n: over }) : say('instances.showEnded', { n: over })}
          </Button>
        )
      }
    >
      {rows.length === 0 ? (
        <NoInstance wanted={app.instances.wanted} />
      ) : (
        <InstanceTable rows={rows} label={say('instances.of', { id: app.id })} mixed={isMixed(rows)} />
      )}
    </Panel>
  );
}

/** Whether some of them are of an earlier definition, and some are not. */
export function isMixed(rows: readonly Instance[]): boolean {
  const old = rows.filter((task) => !ended(task)).map((task) => task.outdated ?? false);
  return old.includes(true) && old.includes(false);
}

export function InstanceTable({
  rows,
  label,
  app = false,
  mixed = false,
}: {
  rows: Instance[];
  label: string;
  app?: boolean;
  mixed?: boolean;
}) {
  const [, go] = useLocation();
  const [sort, setSort] = useState<Sort>();
  const [doomed, setDoomed] = useState<Instance>();
  const shells = useDock().mayWrite;
  const columns = useMemo(
    () => instanceColumns({ app, mixed, kill: setDoomed, go, shells }),
    [app, mixed, go, shells],
  );
  useRowKeys(rows, shells);
  const { found, filter } = useInstanceFilter(rows);
  const shown = useMemo(() => sorted(found, columns, sort), [found, columns, sort]);
  const { select, picked } = useInstances(rows);
  const keys = {
    l: (task: Instance) => go(logHref(task)),
    d: (task: Instance) => !ended(task) && task.task_id && setDoomed(task),
  };
  return (
    <>
      {filter}
      {shown.length > 0 && (
        <Table
          label={label}
          columns={columns}
          rows={shown}
          rowKey={(task) => task.id}
          sort={sort}
          onSort={setSort}
          dim={ended}
          keys={keys}
          select={select}
        />
      )}
      <InstanceBulk picked={picked} onClear={select.clear} />
      {doomed && <Kill task={doomed} onClose={() => setDoomed(undefined)} />}
    </>
  );
}

export function Kill({ task, onClose }: { task: Instance; onClose: () => void }) {
  const [scale, setScale] = useState(false);
  return (
    <Change
      title={say('kill.one', { id: shortTask(task) })}
      verb={say('kill.stop')}
      danger
      command={`tepui task kill ${task.task_id}${scale ? ' --scale' : ''}`}
      call={calls.kill(task, scale)}
      done={say('kill.doneOne', { id: shortTask(task) })}
      change={() => api.kill(task, scale)}
      onClose={onClose}
    >
      <p>
        {say('kill.aboutOne', { app: task.app_id, host: task.host ?? task.node_id ?? '–' })}{' '}
        {scale ? say('kill.notReplaced') : say('kill.replaced')}
      </p>
      <Check label={say('kill.scaleOne')} checked={scale} onChange={setScale} />
    </Change>
  );
}
