// All services in one list, live: by their groups, or flat where something is looked for.
import { Plus } from 'lucide-react';
import { lazy, memo, startTransition, Suspense, useCallback, useDeferredValue, useMemo, useState } from 'react';
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
import { parse, type Query } from '../lib/query';
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

/** What the address says of the list: what is looked for, and in which order. */
function useAddress() {
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
  const by = search.get('sort') ?? 'status';
  const down = search.get('order') === 'down';
  const sort: Sort = useMemo(() => ({ by, down }), [by, down]);
  const setSort = useCallback(
    (next: Sort) => set({ sort: next.by === 'status' && !next.down ? '' : next.by, order: next.down ? 'down' : '' }),
    [setSearch],
  );
  return { typed, setTyped, sort, setSort };
}

/** The lines of the list: all that match, by their groups where nothing is looked for. */
function useLines(
  apps: readonly AppSummary[],
  query: Query<AppSummary>,
  grouped: boolean,
  isOpen: (id: string) => boolean,
  compare: ((a: Line, b: Line) => number) | undefined,
  down: boolean,
  expected: boolean,
): readonly Line[] {
  const order = useCallback(
    (a: Line, b: Line) => (compare ? (down ? -1 : 1) * compare(a, b) : 0) || byName(a.id, b.id),
    [compare, down],
  );
  const groups = useMemo(() => {
    const lines = grouped ? tree(apps, isOpen, order) : [];
    return lines.some((line) => line.kind === 'group') ? lines : undefined;
  }, [apps, grouped, isOpen, order]);
  // In order once, whatever is looked for in it, and before the first letter of it.
  const wanted = !groups || expected;
  const all = useMemo(() => (wanted ? flat(apps).sort(order) : []), [apps, wanted, order]);
  useMemo(() => expected && apps.forEach(APPS.text), [apps, expected]);
  return useMemo(() => groups ?? all.filter(({ app }) => query.test(app)), [groups, all, query]);
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
  const { typed, setTyped, sort, setSort } = useAddress();
  // The line answers at once; the rows follow as fast as they can be drawn.
  const line = useDeferredValue(typed);
  const query = useMemo(() => parse(line, APPS), [line]);
  const beside = useStored(panel) === 'on';
  /** The line has the focus, so that a letter may come. */
  const [expected, setExpected] = useState(false);
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
            onFocus={(on) => startTransition(() => setExpected(on))}
            language={APPS}
            rows={apps}
            fault={query.fault}
            name="services"
            count={(saved) => apps.filter(parse(saved, APPS).test).length}
          />
          <Conditions apps={apps} query={typed} onQuery={setTyped} />
          <Layout beside={beside} />
        </div>
      )}
      <List
        loaded={loaded}
        apps={apps}
        line={line}
        query={query}
        onQuery={setTyped}
        sort={sort}
        onSort={setSort}
        beside={beside}
        expected={expected}
      />
    </>
  );
}

/** All below the filter; what is typed concerns it when it is `line`. */
const List = memo(function List({
  loaded,
  apps,
  line: looked,
  query,
  onQuery,
  sort,
  onSort,
  beside,
  expected,
}: {
  loaded: boolean;
  apps: readonly AppSummary[];
  line: string;
  query: Query<AppSummary>;
  onQuery: (query: string) => void;
  sort: Sort;
  onSort: (sort: Sort) => void;
  beside: boolean;
  expected: boolean;
}) {
  const [asked, setAsked] = useState<{ what: Ask; id: string }>();
  const [bulk, setBulk] = useState<{ what: BulkAsk; apps: readonly AppSummary[]; group?: string }>();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<string>();
  const [, go] = useLocation();
  const grouped = useStored(layout) === 'groups' && looked.trim() === '';
  const opened = useStored(openGroups);
  const hidden = useStored(hiddenColumns);
  const { data: sparks } = useSparks('services');

  const isShort = apps.length <= OPEN_MAX;
  const isOpen = useCallback((id: string) => opened[id] ?? isShort, [opened, isShort]);
  const fold = useCallback((group: GroupLine) => openGroups.put({ ...opened, [group.id]: !isOpen(group.id) }), [opened, isOpen]);
  const askGroup = (what: BulkAsk, group: GroupLine) => setBulk({ what, apps: group.members, group: group.id });
  const table = useMemo(
    () =>
      columns({
        sparks,
        ask: (what, app) => setAsked({ what, id: app.id }),
        groupMenu: (group) => groupMenu(() => onQuery(`group:${group.id}`), (what) => askGroup(what, group)),
        fold,
        isOpen,
        words: query.words,
      }).filter((column) => !column.optional || !hidden.includes(column.id)),
    [sparks, onQuery, fold, isOpen, query, hidden],
  );
  const compare = table.find((column) => column.id === sort.by)?.compare;
  const rows = useLines(apps, query, grouped, isOpen, compare, sort.down, expected);

  const select = selectOf(chosen, setChosen);
  const onApp = (f: (app: AppSummary) => void) => (line: Line) => line.kind === 'app' && f(line.app);
  const onEither = (what: Ask & BulkAsk) => (line: Line) => (line.kind === 'app' ? setAsked({ what, id: line.id }) : askGroup(what, line));
  const keys: Record<string, (line: Line) => void> = {
    ...Object.fromEntries(VIEWS.map(({ key, href }) => [key, onApp((app) => go(href(app.id)))])),
    s: onEither('scale'),
    r: onEither('restart'),
    d: onEither('delete'),
    p: () => panel.put(beside ? 'off' : 'on'),
  };
  const toFirst = () => document.querySelector<HTMLElement>('main [data-row][tabindex="0"]')?.focus();
  useKeys({ j: toFirst, k: toFirst, ArrowDown: toFirst, p: () => panel.put(beside ? 'off' : 'on') });

  const picked = apps.filter((app) => chosen.has(app.id));
  const askedApp = asked && apps.find((app) => app.id === asked.id);
  const currentApp = apps.find((app) => app.id === current);
  return (
    <>
      <div className={css.split} data-beside={beside || undefined}>
        <Panel flush>
          {!loaded ? (
            <Skeleton rows={8} />
          ) : apps.length === 0 ? (
            <NoServices />
          ) : rows.length === 0 ? (
            <Empty
              title={say('services.none')}
              action={<Button onClick={() => onQuery('')}>{say('filter.clear')}</Button>}
            >
              {say('services.hidden', { n: apps.length })} <code>{looked}</code>.
            </Empty>
          ) : (
            <Table
              label={say('nav.services')}
              columns={table}
              rows={rows}
              rowKey={lineKey}
              sort={sort}
              onSort={onSort}
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
});

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
