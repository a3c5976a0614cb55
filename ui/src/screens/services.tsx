// All services in one list, live.
import { EllipsisVertical, ExternalLink, Plus, Search, X } from 'lucide-react';
import { type ReactNode, useMemo, useRef, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { useLoaded, useRows } from '../api/hooks';
import type { AppSummary } from '../api/types';
import { Menu } from '../components/menu';
import { Mark, StatusLabel } from '../components/status';
import { type Column, rowAction, rowLink, type Sort, sorted, Table } from '../components/table';
import { Age, Button, Command, Empty, InstanceBar, PageHead, Panel, Skeleton } from '../components/ui';
import { matches } from '../lib/filter';
import { appHref, count, cpus, mebibytes, splitId, whatRuns } from '../lib/format';
import { appLook, reason, SEVERITY } from '../lib/status';
import { useKeys } from '../shell/keys';
import { type Ask, AskDialog, appMenu } from './actions';
import css from './services.module.css';

const byText = (f: (app: AppSummary) => string) => (a: AppSummary, b: AppSummary) =>
  f(a).localeCompare(f(b), 'en', { numeric: true });
const byNumber = (f: (app: AppSummary) => number) => (a: AppSummary, b: AppSummary) => f(a) - f(b);

/** What all wanted instances take; nothing for a service that wants none. */
function total(app: AppSummary, text: string): ReactNode {
  return app.instances.wanted > 0 ? text : <span className="muted">–</span>;
}

function columns(ask: (what: Ask, app: AppSummary) => void): Column<AppSummary>[] {
  return [
    {
      id: 'name',
      head: 'Name',
      width: 'minmax(180px, 1.8fr)',
      phone: 'top',
      compare: byText((app) => app.id),
      cell: (app) => <Name app={app} />,
    },
    {
      id: 'status',
      head: 'Status',
      width: 'minmax(150px, 2.4fr)',
      phone: 'detail',
      compare: byNumber((app) => SEVERITY.indexOf(app.condition)),
      cell: (app) => (
        <div className={css.status}>
          <StatusLabel look={appLook(app.condition)} />
          {app.condition !== 'running' && app.condition !== 'stopped' && (
            <span className={`truncate ${css.reason}`} title={reason(app)}>
              {reason(app)}
            </span>
          )}
        </div>
      ),
    },
    {
      id: 'instances',
      head: 'Instances',
      width: '84px',
      phone: 'end',
      compare: byNumber((app) => app.instances.running),
      cell: (app) => <InstanceBar {...app.instances} waiting={!!app.waiting} checked={!!app.has_health_checks} />,
    },
    {
      id: 'cpus',
      head: 'CPU',
      width: '64px',
      align: 'end',
      phone: 'none',
      from: 760,
      compare: byNumber((app) => app.cpus * app.instances.wanted),
      cell: (app) => total(app, cpus(app.cpus * app.instances.wanted)),
    },
    {
      id: 'mem',
      head: 'Memory',
      width: '80px',
      align: 'end',
      phone: 'none',
      from: 680,
      compare: byNumber((app) => app.mem_mb * app.instances.wanted),
      cell: (app) => total(app, mebibytes(app.mem_mb * app.instances.wanted)),
    },
    {
      id: 'runs',
      head: 'Runs',
      width: 'minmax(120px, 1.3fr)',
      phone: 'none',
      from: 980,
      compare: byText(whatRuns),
      cell: (app) => (
        <span className={`truncate ${css.runs}`} title={whatRuns(app)}>
          {whatRuns(app)}
        </span>
      ),
    },
    {
      id: 'updated',
      head: 'Changed',
      width: '72px',
      align: 'end',
      phone: 'none',
      from: 850,
      compare: byText((app) => app.updated_at),
      cell: (app) => <Age at={app.updated_at} />,
    },
    {
      id: 'actions',
      head: '',
      width: '64px',
      align: 'end',
      phone: 'none',
      cell: (app) => (
        <span className={`${css.actions} ${rowAction}`}>
          {app.service_url && (
            <a href={app.service_url} target="_blank" rel="noreferrer" aria-label={`Open ${app.id}`}>
              <ExternalLink size={15} aria-hidden />
            </a>
          )}
          <Menu
            groups={appMenu(app, (what) => ask(what, app))}
            trigger={
              <button type="button" aria-label={`Actions for ${app.id}`}>
                <EllipsisVertical size={16} aria-hidden />
              </button>
            }
          />
        </span>
      ),
    },
  ];
}

function Name({ app }: { app: AppSummary }) {
  const { path, name } = splitId(app.id);
  return (
    <Link href={appHref(app.id)} className={`${rowLink} ${css.name}`}>
      {path.length > 1 && <span className={css.path}>{path}</span>}
      <span className={css.own}>{path.length > 1 ? name : app.id}</span>
    </Link>
  );
}

export function Services() {
  const loaded = useLoaded();
  const apps = useRows('apps');
  const [search, setSearch] = useSearchParams();
  const [asked, setAsked] = useState<{ what: Ask; id: string }>();
  const query = search.get('q') ?? '';
  const by = search.get('sort') ?? 'name';
  const down = search.get('order') === 'down';
  const sort: Sort = useMemo(() => ({ by, down }), [by, down]);
  const table = useMemo(() => columns((what, app) => setAsked({ what, id: app.id })), []);
  const found = useMemo(() => apps.filter((app) => matches(app, query)), [apps, query]);
  const rows = useMemo(() => sorted(found, table, sort), [found, table, sort]);
  const askedApp = asked && apps.find((app) => app.id === asked.id);

  const set = (changes: Record<string, string>) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        for (const [key, value] of Object.entries(changes)) {
          if (value) next.set(key, value);
          else next.delete(key);
        }
        return next;
      },
      { replace: true },
    );

  return (
    <>
      <Title text="Services" />
      <PageHead
        title="Services"
        sub={loaded && summary(apps)}
        actions={
          <Link href="/services/create" className={css.create}>
            <Plus size={16} aria-hidden />
            Run a service
          </Link>
        }
      />
      {apps.length > 0 && <Filter query={query} apps={apps} onQuery={(q) => set({ q })} />}
      <Panel flush>
        {!loaded ? (
          <Skeleton rows={8} />
        ) : apps.length === 0 ? (
          <NoServices />
        ) : rows.length === 0 ? (
          <Empty
            title="No service matches"
            action={<Button onClick={() => set({ q: '' })}>Clear filter</Button>}
          >
            {count(apps.length, 'service')} hidden by <code>{query}</code>.
          </Empty>
        ) : (
          <Table
            label="Services"
            columns={table}
            rows={rows}
            rowKey={(app) => app.id}
            sort={sort}
            onSort={(next) => set({ sort: next.by, order: next.down ? 'down' : '' })}
          />
        )}
      </Panel>
      {asked && askedApp && (
        <AskDialog what={asked.what} app={askedApp} onClose={() => setAsked(undefined)} />
      )}
    </>
  );
}

function summary(apps: readonly AppSummary[]): string {
  const running = apps.reduce((n, app) => n + app.instances.running, 0);
  return `${count(apps.length, 'service')}, ${count(running, 'running instance')}`;
}

/** Text filter and one button per condition that occurs. */
function Filter({
  query,
  apps,
  onQuery,
}: {
  query: string;
  apps: readonly AppSummary[];
  onQuery: (query: string) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  useKeys({ '/': () => input.current?.focus() });
  const counts = new Map<string, number>();
  for (const app of apps) counts.set(app.condition, (counts.get(app.condition) ?? 0) + 1);
  const words = query.split(/\s+/).filter(Boolean);
  const toggle = (word: string) =>
    onQuery(
      words.includes(word)
        ? words.filter((w) => w !== word).join(' ')
        : [...words.filter((w) => !w.startsWith('is:')), word].join(' '),
    );
  return (
    <div className={css.filter}>
      <div className={css.box}>
        <Search size={15} aria-hidden />
        <input
          ref={input}
          type="text"
          value={query}
          onChange={(event) => onQuery(event.target.value)}
          onKeyDown={(event) => event.key === 'Escape' && onQuery('')}
          aria-label="Filter services"
          placeholder="Filter by name, image, label:…"
        />
        {query && (
          <button type="button" onClick={() => onQuery('')} aria-label="Clear filter">
            <X size={14} aria-hidden />
          </button>
        )}
      </div>
      <div className={css.chips} role="group" aria-label="Filter by status">
        {SEVERITY.filter((condition) => counts.has(condition)).map((condition) => {
          const word = `is:${condition}`;
          const look = appLook(condition);
          return (
            <button
              key={condition}
              type="button"
              aria-pressed={words.includes(word)}
              onClick={() => toggle(word)}
            >
              <Mark look={look} />
              {look.word}
              <span className="nums">{counts.get(condition)}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}

export function NoServices() {
  const [, go] = useLocation();
  return (
    <Empty
      title="Nothing runs yet"
      action={
        <Button kind="primary" onClick={() => go('/services/create')}>
          Run a service
        </Button>
      }
    >
      <p>Deploy a definition from a file, or write one here.</p>
      <div className={css.firstCommand}>
        <Command text="tepui app deploy app.json" />
      </div>
    </Empty>
  );
}

/** Sets the title of the window. */
export function Title({ text }: { text: string }) {
  return <title>{`${text} · tepui`}</title>;
}
