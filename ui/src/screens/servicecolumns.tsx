// The columns of the list of services: each knows a service and a group of them.
import { ChevronRight, EllipsisVertical, ExternalLink } from 'lucide-react';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { here } from '../api/base';
import type { AppSummary, MeasuredRow } from '../api/types';
import { Sparkline } from '../charts/sparkline';
import { Marked } from '../components/marked';
import { Menu, type MenuItem } from '../components/menu';
import { Mark, StatusLabel } from '../components/status';
import { type Column, rowAction, rowLink } from '../components/table';
import { Age, InstanceBar } from '../components/ui';
import { appHref, byName, cpus, mebibytes, splitId, whatRuns } from '../lib/format';
import { lookOf, reason } from '../lib/status';
import { bySeverity, changedAt, type GroupLine, instancesOf, type Line, members, sum } from '../lib/tree';
import { say } from '../words';
import { type Ask, appMenu } from './actions';
import css from './services.module.css';

/** What the list can be told from within a cell. */
export interface Told {
  ask: (what: Ask, app: AppSummary) => void;
  groupMenu: (group: GroupLine) => MenuItem[][];
  fold: (group: GroupLine) => void;
  isOpen: (id: string) => boolean;
  /** What was looked for. */
  words: readonly string[];
  /** What was measured, by service, once it is here. */
  sparks: ReadonlyMap<string, MeasuredRow> | undefined;
}

const wantedOf = (line: Line, of: (app: AppSummary) => number) => sum(line, (app) => of(app) * app.instances.wanted);
const byNumber = (f: (line: Line) => number) => (a: Line, b: Line) => f(a) - f(b);
const byText = (f: (line: Line) => string) => (a: Line, b: Line) => byName(f(a), f(b));
const CPUS = (line: Line) => wantedOf(line, (app) => app.cpus);
const MEM = (line: Line) => wantedOf(line, (app) => app.mem_mb);

/** By column; each the same for good, so that a list keeps its order until it is asked for another. */
const ORDER = {
  name: byText((line) => line.id),
  status: bySeverity,
  instances: byNumber((line) => instancesOf(line).running),
  cpus: byNumber(CPUS),
  mem: byNumber(MEM),
  runs: byText((line) => runs(line)),
  updated: byText(changedAt),
};

/** What all wanted instances take; nothing where none is wanted. */
function Total({ line, text }: { line: Line; text: string }): ReactNode {
  return members(line).some((app) => app.instances.wanted > 0) ? text : <span className="muted">–</span>;
}

const runs = (line: Line) => (line.kind === 'app' ? whatRuns(line.app) : '');

/** Use of processors in the last hour, and now. */
function Load({ measured }: { measured: MeasuredRow | undefined }) {
  const used = measured?.series.find((series) => series.name === 'cpus_used');
  if (used?.last === undefined) return <span className="muted">–</span>;
  return (
    <span className={css.load}>
      <Sparkline points={used.points} hue="cpu" />
      {cpus(used.last)}
    </span>
  );
}

export function columns(told: Told): Column<Line>[] {
  return [
    {
      id: 'name',
      head: say('list.name'),
      width: 'minmax(180px, 1.8fr)',
      phone: 'top',
      compare: ORDER.name,
      cell: (line) => <Name line={line} told={told} />,
    },
    {
      id: 'status',
      head: say('list.status'),
      width: 'minmax(150px, 2.4fr)',
      phone: 'detail',
      compare: ORDER.status,
      cell: (line) => <Status line={line} />,
    },
    {
      id: 'instances',
      head: say('list.instances'),
      width: '84px',
      phone: 'end',
      compare: ORDER.instances,
      cell: (line) => <InstanceBar {...instancesOf(line)} waiting={members(line).some((app) => !!app.waiting)} />,
    },
    {
      id: 'cpus',
      head: say('list.cpu'),
      width: '64px',
      align: 'end',
      phone: 'none',
      from: 760,
      optional: true,
      compare: ORDER.cpus,
      cell: (line) => <Total line={line} text={cpus(CPUS(line))} />,
    },
    {
      id: 'load',
      head: say('list.load'),
      width: '112px',
      align: 'end',
      phone: 'none',
      from: 1080,
      optional: true,
      cell: (line) => line.kind === 'app' && <Load measured={told.sparks?.get(line.id)} />,
    },
    {
      id: 'mem',
      head: say('list.memory'),
      width: '80px',
      align: 'end',
      phone: 'none',
      from: 680,
      optional: true,
      compare: ORDER.mem,
      cell: (line) => <Total line={line} text={mebibytes(MEM(line))} />,
    },
    {
      id: 'runs',
      head: say('list.runs'),
      width: 'minmax(120px, 1.3fr)',
      phone: 'none',
      from: 980,
      optional: true,
      compare: ORDER.runs,
      cell: (line) => (
        <span className={`truncate ${css.runs}`} title={runs(line)}>
          <Marked text={runs(line)} words={told.words} />
        </span>
      ),
    },
    {
      id: 'ports',
      head: say('list.ports'),
      width: 'minmax(80px, 0.8fr)',
      phone: 'none',
      from: 1120,
      optional: true,
      cell: (line) => <span className="truncate muted">{line.kind === 'app' && ports(line.app)}</span>,
    },
    {
      id: 'updated',
      head: say('list.changed'),
      width: '72px',
      align: 'end',
      phone: 'none',
      from: 850,
      optional: true,
      compare: ORDER.updated,
      cell: (line) => <Age at={changedAt(line)} />,
    },
    {
      id: 'actions',
      head: '',
      width: '64px',
      align: 'end',
      phone: 'end',
      sticky: true,
      cell: (line) => <Actions line={line} told={told} />,
    },
  ];
}

function ports(app: AppSummary): string {
  return app.ports.map((port) => port.container_port || port.host_port || port.name || port.protocol).join(', ');
}

function Name({ line, told }: { line: Line; told: Told }) {
  const { path, name } = splitId(line.name);
  // In a flat list the name is the whole id; below groups there is room for what folds them.
  const beside = line.kind === 'app' && !line.name.startsWith('/') ? 24 : 0;
  const indent = { paddingLeft: line.level * 18 + beside };
  if (line.kind === 'group') {
    const open = told.isOpen(line.id);
    return (
      <span className={css.group} style={indent}>
        <button
          type="button"
          className={`${css.fold} ${rowLink}`}
          aria-expanded={open}
          aria-label={say('group.name', { id: line.id })}
          onClick={() => told.fold(line)}
        >
          <ChevronRight size={16} aria-hidden />
        </button>
        <span className={css.own}>{line.name}</span>
        <span className="muted nums">{say('count.services', { n: line.members.length })}</span>
      </span>
    );
  }
  // The slash at the front belongs to the name of a service that is in no group.
  const shown = path.length > 1 ? path : '';
  return (
    <span className={css.line} style={indent}>
      <Link href={appHref(line.id)} className={`${rowLink} ${css.name}`} aria-label={line.id}>
        {shown && (
          <span className={css.path}>
            <Marked text={shown} words={told.words} />
          </span>
        )}
        <span className={css.own}>
          <Marked text={shown ? name : line.name} words={told.words} />
        </span>
      </Link>
      {line.app.kind === 'pod' && <span className={css.kind}>{say('list.pod')}</span>}
    </span>
  );
}

function Status({ line }: { line: Line }) {
  if (line.kind === 'group') {
    const look = lookOf(line.worst.verdict.state);
    return (
      <div className={css.status}>
        <span className={css.sum}>
          <Mark look={look} />
          <span className="truncate">
            {line.troubled > 0
              ? say('group.troubled', { n: line.troubled, of: line.members.length })
              : look.word}
          </span>
        </span>
      </div>
    );
  }
  const { app } = line;
  const quiet = app.condition === 'running' || app.condition === 'stopped';
  return (
    <div className={css.status}>
      <StatusLabel look={lookOf(app.verdict.state)} />
      {!quiet && (
        // What the server says, it says in English.
        <span className={`truncate ${css.reason}`} title={reason(app)} lang="en">
          {reason(app)}
        </span>
      )}
    </div>
  );
}

function Actions({ line, told }: { line: Line; told: Told }) {
  const app = line.kind === 'app' ? line.app : undefined;
  return (
    <span className={`${css.actions} ${rowAction}`}>
      {app?.service_url && (
        <a href={here(app.service_url)} target="_blank" rel="noreferrer" aria-label={say('list.open', { name: app.id })}>
          <ExternalLink size={15} aria-hidden />
        </a>
      )}
      <Menu
        groups={() => (line.kind === 'app' ? appMenu(line.app, (what) => told.ask(what, line.app)) : told.groupMenu(line))}
        trigger={
          <button type="button" aria-label={say('list.actionsFor', { name: line.id })}>
            <EllipsisVertical size={16} aria-hidden />
          </button>
        }
      />
    </span>
  );
}
