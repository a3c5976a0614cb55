// Every volume of every instance: where it is, how large, whose, and what becomes of it.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'wouter';
import { api } from '../api/client';
import { newest, useFromRows, useRenewed } from '../api/hooks';
import type { Volume } from '../api/types';
import { useFilter } from '../components/filterbox';
import { useListFilter } from '../components/listfilter';
import { Marked } from '../components/marked';
import { StatusLabel } from '../components/status';
import { type Column, rowAction, rowLink, type Sort, sorted, Table } from '../components/table';
import { Command, Empty, Failure, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, byName, mebibytes } from '../lib/format';
import { say } from '../words';
import { VOLUMES } from './resourcefilter';
import css from './resources.module.css';
import { Title } from './services';

const KEY = ['volumes'];

const fate = ({ goes_with_app }: Volume) => say(goes_with_app ? 'volumes.goes' : 'volumes.stays');
const MIB = 1024 * 1024;
/** Tone and shape of a volume's state; the word says the same. */
const LOOKS = {
  in_use: { tone: 'good', shape: 'check' },
  waiting: { tone: 'attention', shape: 'hourglass' },
  kept: { tone: 'neutral', shape: 'square' },
  wiping: { tone: 'moving', shape: 'ring' },
} as const;
const none = <span className="muted">–</span>;

const columns = (words: readonly string[]): Column<Volume>[] => [
  {
    id: 'service',
    head: say('search.service'),
    width: 'minmax(150px, 1.6fr)',
    phone: 'top',
    compare: (a, b) => byName(a.app_id, b.app_id) || byName(a.path, b.path),
    cell: ({ app_id }) => (
      <Link href={appHref(app_id)} className={rowLink}>
        <strong>
          <Marked text={app_id} words={words} />
        </strong>
      </Link>
    ),
  },
  {
    id: 'path',
    head: say('volumes.path'),
    width: 'minmax(140px, 1.6fr)',
    phone: 'detail',
    compare: (a, b) => byName(a.path, b.path),
    cell: ({ path, source, driver, read_only }) => (
      <span className={css.lines}>
        <span className={css.path}>
          <Marked text={path} words={words} />
          {read_only && <span className="muted"> {say('volumes.readOnly')}</span>}
        </span>
        {source && (
          <span className={css.second}>
            {driver ? `${driver}: ` : ''}
            <Marked text={source} words={words} />
          </span>
        )}
      </span>
    ),
  },
  {
    id: 'kind',
    head: say('volumes.kind'),
    width: 'minmax(90px, 0.8fr)',
    phone: 'end',
    from: 640,
    compare: (a, b) => a.kind.localeCompare(b.kind),
    cell: ({ kind }) => say(`volumes.kind.${kind}`),
  },
  {
    id: 'state',
    head: say('volumes.state'),
    width: 'minmax(104px, 1.2fr)',
    phone: 'detail',
    from: 700,
    compare: (a, b) => (a.state ?? '').localeCompare(b.state ?? ''),
    cell: ({ state }) => (state ? <StatusLabel look={{ ...LOOKS[state], word: say(`volumes.state.${state}`) }} /> : none),
  },
  {
    id: 'size',
    head: say('volumes.size'),
    width: '140px',
    align: 'end',
    phone: 'detail',
    compare: (a, b) => (a.size_mb ?? 0) - (b.size_mb ?? 0),
    cell: ({ size_mb, used_bytes }) => {
      if (size_mb === undefined) return none;
      const size = mebibytes(size_mb);
      return <span className="nums">{used_bytes === undefined ? size : say('volumes.of', { used: mebibytes(Math.ceil(used_bytes / MIB)), size })}</span>;
    },
  },
  {
    id: 'node',
    head: say('list.node'),
    width: 'minmax(100px, 1fr)',
    phone: 'detail',
    compare: (a, b) => byName(a.host ?? '', b.host ?? ''),
    cell: ({ node_id, host }) =>
      node_id ? (
        <Link href={`/nodes/${node_id}`} className={rowAction}>
          {host ?? node_id}
        </Link>
      ) : (
        <span className="muted">{say('volumes.noNode')}</span>
      ),
  },
  {
    id: 'instance',
    head: say('volumes.instance'),
    width: '104px',
    phone: 'none',
    from: 1200,
    cell: ({ instance_id }) => <code title={instance_id}>{instance_id.slice(-8)}</code>,
  },
  {
    id: 'fate',
    head: say('volumes.fate'),
    width: 'minmax(124px, 1.2fr)',
    phone: 'foot',
    from: 820,
    compare: (a, b) => Number(b.goes_with_app) - Number(a.goes_with_app),
    cell: (volume) => fate(volume),
  },
];

const keyOf = ({ instance_id, path }: Volume) => `${instance_id} ${path}`;

export default function Volumes() {
  const { data, error, refetch } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => api.volumes(signal), staleTime: 0 });
  useRenewed(KEY, useFromRows('apps', newest));
  const [search, setSearch] = useSearchParams();
  const set = (name: string, value: string) =>
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const line = useFilter(search.get('q') ?? '', (q) => set('q', q));
  const all = data?.volumes ?? [];
  const words = { name: 'volumes', label: say('volumes.filter'), placeholder: say('volumes.filterHint'), none: say('volumes.noMatch') };
  const { found, query, filter } = useListFilter(all, VOLUMES, words, line, all.length === 0);
  const by = search.get('sort') ?? '';
  const sort: Sort = { by: by.replace(/^-/, ''), down: by.startsWith('-') };
  const table = useMemo(() => columns(query.words), [query]);
  const rows = useMemo(() => sorted(found, table, sort), [found, table, by]);
  const size = all.reduce((sum, volume) => sum + (volume.kind === 'persistent' ? (volume.size_mb ?? 0) : 0), 0);
  return (
    <>
      <Title text={say('nav.volumes')} />
      <PageHead
        title={say('nav.volumes')}
        sub={data && <span>{say('volumes.about', { n: all.length, size: mebibytes(size) })}</span>}
      />
      <Panel flush>
        {error && <Failure error={error} retry={() => void refetch()} />}
        {!data && !error && <Skeleton />}
        {data && all.length === 0 && <Empty title={say('volumes.none')}>{say('volumes.noneHint')}</Empty>}
        {filter}
        {rows.length > 0 && (
          <Table
            label={say('nav.volumes')}
            columns={table}
            rows={rows}
            rowKey={keyOf}
            sort={sort}
            onSort={(next) => set('sort', `${next.down ? '-' : ''}${next.by}`)}
          />
        )}
      </Panel>
      <Command text="tepui volume list" />
    </>
  );
}
