// What runs on a node: its instances, grouped by service, with what each group takes together.
import { useMemo, useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { Instance } from '../api/types';
import { type Column, rowAction, type Select, type Sort, Table } from '../components/table';
import { Swatch } from '../map/legend';
import { useDock } from '../dock/dock';
import { appHref, byName, cpus, mebibytes } from '../lib/format';
import { ended, instanceLook } from '../lib/status';
import { say } from '../words';
import { StatusLabel } from '../components/status';
import { InstanceBulk, useInstanceFilter, useInstances } from './instancebulk';
import { instanceColumns, Kill, logHref, useRowKeys } from './instances';
import css from './nodes.module.css';

interface ServiceLine {
  kind: 'service';
  id: string;
  tasks: Instance[];
}
interface TaskLine {
  kind: 'task';
  id: string;
  task: Instance;
}
export type NodeLine = ServiceLine | TaskLine;

/** A line for each service, its instances below it while it is open. */
export function linesOf(tasks: readonly Instance[], isOpen: (app: string) => boolean, compare: (a: Instance, b: Instance) => number): NodeLine[] {
  const apps = new Map<string, Instance[]>();
  for (const task of tasks) apps.set(task.app_id, [...(apps.get(task.app_id) ?? []), task]);
  return [...apps]
    .sort(([a], [b]) => byName(a, b))
    .flatMap(([app, own]): NodeLine[] => {
      const rows = [...own].sort((a, b) => compare(a, b) || (a.id < b.id ? -1 : 1));
      const below = isOpen(app) ? rows.map((task): NodeLine => ({ kind: 'task', id: task.id, task })) : [];
      return [{ kind: 'service', id: `service ${app}`, tasks: rows }, ...below];
    });
}

const sum = (tasks: readonly Instance[], of: (task: Instance) => number | undefined) => tasks.reduce((n, task) => n + (of(task) ?? 0), 0);
const members = (line: NodeLine): Instance[] => (line.kind === 'task' ? [line.task] : line.tasks);

/** Used of reserved; only what is reserved where nothing was measured. */
function usedOf(tasks: readonly Instance[], of: (amounts: { cpus: number; mem_mb: number }) => number, print: (value: number) => string) {
  const all = print(sum(tasks, of));
  if (!tasks.some((task) => task.used)) return all;
  return say('map.usedOf', { used: print(sum(tasks, (task) => task.used && of(task.used))), all });
}

/** The columns of all instance lists as far as they fit here, with groups above the rows. */
function columnsOf(own: Column<Instance>[]): Column<NodeLine>[] {
  const lifted = own.filter(({ id }) => !['node', 'memory'].includes(id)).map((column): Column<NodeLine> => {
    const { compare, cell, ...rest } = column;
    return {
      ...rest,
      ...(column.id === 'id' && { head: say('nodes.service'), width: 'minmax(170px, 1.6fr)' }),
      ...(column.id === 'status' && { width: 'minmax(120px, 1.3fr)' }),
      ...(compare && { compare: (a, b) => (a.kind === 'task' && b.kind === 'task' ? compare(a.task, b.task) : 0) }),
      cell: (line) => (line.kind === 'task' ? <TaskCell first={column.id === 'id'}>{cell(line.task)}</TaskCell> : <ServiceCell line={line} column={column.id} />),
    };
  });
  const amounts: Column<NodeLine>[] = [
    { id: 'cpu', head: say('list.cpu'), width: '120px', align: 'end', from: 640, cell: (line) => <span className="nums">{usedOf(members(line), (amounts) => amounts.cpus, cpus)}</span> },
    { id: 'mem', head: say('list.memory'), width: '150px', align: 'end', from: 730, cell: (line) => <span className="nums">{usedOf(members(line), (amounts) => amounts.mem_mb, mebibytes)}</span> },
  ];
  const at = lifted.findIndex(({ id }) => id === 'since');
  return [...lifted.slice(0, at), ...amounts, ...lifted.slice(at)];
}

function TaskCell({ first, children }: { first: boolean; children: React.ReactNode }) {
  return first ? <span className={css.below}>{children}</span> : <>{children}</>;
}

function ServiceCell({ line, column }: { line: ServiceLine; column: string }) {
  const app = line.tasks[0]?.app_id ?? '';
  if (column === 'id') {
    return (
      <span className={css.service}>
        <Swatch id={app} />
        {app ? (
          <Link href={appHref(app)} className={rowAction}>
            <strong>{app}</strong>
          </Link>
        ) : (
          <strong>{say('node.otherTasks')}</strong>
        )}
      </span>
    );
  }
  if (column === 'status') {
    const words = new Map<string, { look: ReturnType<typeof instanceLook>; n: number }>();
    for (const task of line.tasks) {
      const look = instanceLook(task);
      words.set(look.word, { look, n: (words.get(look.word)?.n ?? 0) + 1 });
    }
    return (
      <span className={css.tallies}>
        {[...words.values()].map(({ look, n }) => (
          <span key={look.word} className={css.tally}>
            <StatusLabel look={look} /> <span className="muted nums">{n}</span>
          </span>
        ))}
      </span>
    );
  }
  return null;
}

export function NodeTable({ tasks, label }: { tasks: Instance[]; label: string }) {
  const [, go] = useLocation();
  const [sort, setSort] = useState<Sort>();
  const [doomed, setDoomed] = useState<Instance>();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const shells = useDock().mayWrite;
  const own = useMemo(() => instanceColumns({ app: false, kill: setDoomed, go, shells }), [go, shells]);
  const columns = useMemo(() => columnsOf(own), [own]);
  useRowKeys(tasks, shells);
  const { found, filter } = useInstanceFilter(tasks);
  const lines = useMemo(() => {
    const compare = own.find(({ id }) => id === sort?.by)?.compare;
    const order = (a: Instance, b: Instance) => (compare ? (sort?.down ? -1 : 1) * compare(a, b) : 0);
    return linesOf(found, (app) => !closed.has(app), order);
  }, [found, closed, own, sort]);
  const { select, picked } = useInstances(tasks);
  const onLines: Select<NodeLine> = {
    any: select.any,
    state: (line) => {
      const n = members(line).filter((task) => select.state(task) === true).length;
      return n === 0 ? false : n === members(line).length || 'some';
    },
    set: (rows, on) => select.set(rows.flatMap(members), on),
    clear: select.clear,
    name: (line) => (line.kind === 'task' ? select.name(line.task) : (line.tasks[0]?.app_id ?? '')),
  };
  const onTask = (f: (task: Instance) => void) => (line: NodeLine) => line.kind === 'task' && f(line.task);
  return (
    <>
      {filter}
      {lines.length > 0 && (
        <Table
          label={label}
          columns={columns}
          rows={lines}
          rowKey={(line) => line.id}
          sort={sort}
          onSort={setSort}
          dim={(line) => line.kind === 'task' && ended(line.task)}
          keys={{ l: onTask((task) => go(logHref(task))), d: onTask((task) => !ended(task) && task.task_id && setDoomed(task)) }}
          select={onLines}
          open={(line) => (line.kind === 'service' ? !closed.has(line.tasks[0]?.app_id ?? '') : undefined)}
          onFold={(line) => {
            if (line.kind !== 'service') return;
            const app = line.tasks[0]?.app_id ?? '';
            const next = new Set(closed);
            if (!next.delete(app)) next.add(app);
            setClosed(next);
          }}
        />
      )}
      <InstanceBulk picked={picked} onClear={select.clear} />
      {doomed && <Kill task={doomed} onClose={() => setDoomed(undefined)} />}
    </>
  );
}
