// All services in one list, live: by their groups, or flat where something is looked for.
import { Plus } from 'lucide-react';
import { lazy, Suspense, useDeferredValue, useMemo, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { useLoaded, useRows, useStatus } from '../api/hooks';
import type { AppSummary } from '../api/types';
import { useSparks } from '../charts/measured';
import { FilterBox, useFilter } from '../components/filterbox';
import { type Select, type Sort, Table } from '../components/table';
import { Button, Command, Empty, PageHead, Panel, Skeleton } from '../components/ui';
import { APPS } from '../lib/filter';
import { byName } from '../lib/format';
import { useKeys } from '../lib/keys';
import { parse } from '../lib/query';
import { flags, Stored, useStored } from '../lib/stored';
import { flat, type GroupLine, type Line, lineKey, members, tree } from '../lib/tree';
import { VIEWS } from '../lib/views';
import { say } from '../words';
import { type Ask, AskDialog } from './actions';
import type { BulkAsk } from './bulk';
import { columns } from './servicecolumns';
import css from './services.module.css';
import { BulkBar, Conditions, groupMenu, hiddenColumns, Layout, layout, panel } from './servicetools';

const Bulk = lazy(() => import('./bulk'));
const SidePanel = lazy(() => import('./sidepanel'));

/** Shorter lists show all of their groups open. */
const OPEN_MAX = 40;
/** Narrower windows have no room for the panel beside the list. */
const PANEL_FROM = 1180;

const openGroups = new Stored<Record<string, boolean>>('services.open', {}, flags);

/** What is in the list, in which order, and how the address says it. */
function useList(apps: readonly AppSummary[]) {
  const [search, setSearch] = useSearchParams();
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
  const [typed, setTyped] = useFilter(search.get('q') ?? '', (q) => set({ q }));
  // The line answers at once; the rows follow as fast as they can be drawn.
  const line = useDeferredValue(typed);
  const query = useMemo(() => parse(line, APPS), [line]);
  const by = search.get('sort') ?? 'status';
  const down = search.get('order') === 'down';
  const sort: Sort = useMemo(() => ({ by, down }), [by, down]);
  const found = useMemo(() => apps.filter(query.test), [apps, query]);
  const setSort = (next: Sort) =>
    set({ sort: next.by === 'status' && !next.down ? '' : next.by, order: next.down ? 'down' : '' });
  return { typed, setTyped, query, found, sort, setSort };
}

/** Which services are selected, line by line: a group stands for all of its own. */
function selectOf(chosen: ReadonlySet<string>, choose: (ids: ReadonlySet<string>) => void): Select<Line> {
  return {
    any: chosen.size > 0,
    state: (line) => {
      const all = members(line);
      const n = all.filter((app) => chosen.has(app.id)).length;
      return n === 0 ? false : n === all.length || 'some';
    },
    set: (lines, on) => {
      const next = new Set(chosen);
      for (const { id } of lines.flatMap(members)) {
        if (on) next.add(id);
        else next.delete(id);
      }
      choose(next);
    },
    clear: () => choose(new Set()),
    name: (line) => line.id,
  };
}

export function Services() {
  const loaded = useLoaded();
  const apps = useRows('apps');
  const { typed, setTyped, query, found, sort, setSort } = useList(apps);
  const [asked, setAsked] = useState<{ what: Ask; id: string }>();
  const [bulk, setBulk] = useState<{ what: BulkAsk; apps: readonly AppSummary[]; group?: string }>();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<string>();
  const [, go] = useLocation();
  const grouped = useStored(layout) === 'groups' && typed.trim() === '';
  const opened = useStored(openGroups);
  const hidden = useStored(hiddenColumns);
  const beside = useStored(panel) === 'on';

  const isOpen = (id: string) => opened[id] ?? apps.length <= OPEN_MAX;
  const fold = (group: GroupLine) => openGroups.put({ ...opened, [group.id]: !isOpen(group.id) });
  const { data: sparks } = useSparks('services');
  const table = columns({
    sparks,
    ask: (what, app) => setAsked({ what, id: app.id }),
    groupMenu: (group) => groupMenu(() => setTyped(`group:${group.id}`), (what) => setBulk({ what, apps: group.members, group: group.id })),
    fold,
    isOpen,
    words: query.words,
  }).filter((column) => !column.optional || !hidden.includes(column.id));
  const compare = table.find((column) => column.id === sort.by)?.compare;
  const order = (a: Line, b: Line) => (compare ? (sort.down ? -1 : 1) * compare(a, b) : 0) || byName(a.id, b.id);
  const rows = useMemo(() => {
    const lines = grouped ? tree(found, isOpen, order) : [];
    return lines.some((line) => line.kind === 'group') ? lines : flat(found).sort(order);
    // The order is made anew with each render, but is another one only with these.
  }, [found, grouped, opened, sort]);

  const select = selectOf(chosen, setChosen);
  const onApp = (f: (app: AppSummary) => void) => (line: Line) => line.kind === 'app' && f(line.app);
  const keys: Record<string, (line: Line) => void> = {
    ...Object.fromEntries(VIEWS.map(({ key, href }) => [key, onApp((app) => go(href(app.id)))])),
    s: (line) => (line.kind === 'app' ? setAsked({ what: 'scale', id: line.id }) : askGroup('scale', line)),
    r: (line) => (line.kind === 'app' ? setAsked({ what: 'restart', id: line.id }) : askGroup('restart', line)),
    d: (line) => (line.kind === 'app' ? setAsked({ what: 'delete', id: line.id }) : askGroup('delete', line)),
    p: () => panel.put(beside ? 'off' : 'on'),
  };
  const askGroup = (what: BulkAsk, group: GroupLine) => setBulk({ what, apps: group.members, group: group.id });
  const toFirst = () => document.querySelector<HTMLElement>('main [data-row][tabindex="0"]')?.focus();
  useKeys({ j: toFirst, k: toFirst, ArrowDown: toFirst, p: () => panel.put(beside ? 'off' : 'on') });

  const picked = apps.filter((app) => chosen.has(app.id));
  const askedApp = asked && apps.find((app) => app.id === asked.id);
  const currentApp = apps.find((app) => app.id === current);
  return (
    <>
      <Title text={say('nav.services')} />
      <PageHead
        title={say('nav.services')}
        sub={loaded && summary(apps)}
        actions={
          <Link href="/services/create" className={css.create}>
            <Plus size={16} aria-hidden />
            {say('services.run')}
          </Link>
        }
      />
      {apps.length > 0 && (
        <div className={css.filter}>
          <FilterBox
            label={say('services.filter')}
            placeholder={say('services.filterHint')}
            query={typed}
            onQuery={setTyped}
            language={APPS}
            rows={apps}
            fault={query.fault}
            name="services"
            count={(line) => apps.filter(parse(line, APPS).test).length}
          />
          <Conditions apps={apps} query={typed} onQuery={setTyped} />
          <Layout beside={beside} />
        </div>
      )}
      <div className={css.split} data-beside={beside || undefined}>
        <Panel flush>
          {!loaded ? (
            <Skeleton rows={8} />
          ) : apps.length === 0 ? (
            <NoServices />
          ) : rows.length === 0 ? (
            <Empty
              title={say('services.none')}
              action={<Button onClick={() => setTyped('')}>{say('filter.clear')}</Button>}
            >
              {say('services.hidden', { n: apps.length })} <code>{typed}</code>.
            </Empty>
          ) : (
            <Table
              label={say('nav.services')}
              columns={table}
              rows={rows}
              rowKey={lineKey}
              sort={sort}
              onSort={setSort}
              keys={keys}
              select={select}
              open={(line) => (line.kind === 'group' ? isOpen(line.id) : undefined)}
              onFold={(line) => line.kind === 'group' && fold(line)}
              onCurrent={(line) => setCurrent(line.id)}
            />
          )}
        </Panel>
        {beside && window.innerWidth >= PANEL_FROM && (
          <Suspense fallback={<Panel><Skeleton rows={4} /></Panel>}>
            <SidePanel app={currentApp} onClose={() => panel.put('off')} />
          </Suspense>
        )}
      </div>
      {picked.length > 0 && (
        <BulkBar n={picked.length} onAsk={(what) => setBulk({ what, apps: picked })} onClear={select.clear} />
      )}
      {bulk && (
        <Suspense>
          <Bulk
            {...bulk}
            onClose={(done) => {
              setBulk(undefined);
              if (done) select.clear();
            }}
          />
        </Suspense>
      )}
      {asked && askedApp && (
        <AskDialog what={asked.what} app={askedApp} onClose={() => setAsked(undefined)} />
      )}
    </>
  );
}

function summary(apps: readonly AppSummary[]): string {
  const running = apps.reduce((n, app) => n + app.instances.running, 0);
  const stopping = apps.reduce((n, app) => n + app.instances.stopping, 0);
  const told = [say('count.services', { n: apps.length }), say('count.running', { n: running })];
  return [...told, ...(stopping > 0 ? [say('count.stopping', { n: stopping })] : [])].join(', ');
}

export function NoServices() {
  const [, go] = useLocation();
  return (
    <Empty
      title={say('services.empty')}
      action={
        <Button kind="primary" onClick={() => go('/services/create')}>
          {say('services.run')}
        </Button>
      }
    >
      <p>{say('services.emptyHint')}</p>
      <div className={css.firstCommand}>
        <Command text="tepui app deploy app.json" />
      </div>
    </Empty>
  );
}

/** Sets the title of the window, with the number of what needs attention in front. */
export function Title({ text }: { text: string }) {
  const n = useStatus((status) => (status ? status.counts.apps_attention + status.counts.nodes_attention : 0));
  return <title>{`${n > 0 ? `(${n}) ` : ''}${text} · tepui`}</title>;
}
