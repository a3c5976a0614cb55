// What services reserve and never use, what would do, and the change that gives the rest back.
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useSearchParams } from 'wouter';
import { api, calls, curlOf } from '../api/client';
import { newest, useFromRows, useRenewed } from '../api/hooks';
import type { EfficiencyAdvice, EfficiencyRow } from '../api/types';
import { useFilter } from '../components/filterbox';
import { useListFilter } from '../components/listfilter';
import { Marked } from '../components/marked';
import { type Column, rowAction, rowLink, type Sort, sorted, Table } from '../components/table';
import { Button, Command, Empty, Failure, Meter, PageHead, Panel, Skeleton } from '../components/ui';
import { appHref, byName, cpus, mebibytes, percent } from '../lib/format';
import { say } from '../words';
import { Change } from './actions';
import { EFFICIENCY, isWasteful } from './resourcefilter';
import css from './resources.module.css';
import { Title } from './services';

const KEY = ['efficiency'];
const AGAIN_MS = 300_000;
const HOUR_S = 3600;

/** The day, or as much of it as was measured. */
const hours = ({ measured_s }: EfficiencyRow) => Math.round(measured_s / HOUR_S);

function Advice({ advice, of, row }: { advice: EfficiencyAdvice; of: 'cpu' | 'memory'; row: EfficiencyRow }) {
  const print = of === 'cpu' ? (n: number) => say('efficiency.cpus', { n: cpus(n) }) : mebibytes;
  const { reserved, used_most: most, suggested } = advice;
  const parts = [
    say('efficiency.reserves', { size: print(reserved) }),
    most !== undefined && say('efficiency.most', { size: print(most), n: hours(row) }),
    suggested !== undefined && say('efficiency.wouldDo', { size: print(suggested) }),
  ].filter((part) => part !== false);
  return (
    <span className={css.advice}>
      <Meter
        label={say(of === 'cpu' ? 'list.cpu' : 'list.memory')}
        hue={of}
        total={reserved}
        allocated={suggested ?? reserved}
        used={most}
        text={parts.join(', ')}
      />
      <span aria-hidden="true">
        {say('efficiency.line', { most: most === undefined ? '–' : of === 'cpu' ? cpus(most) : print(most), reserved: print(reserved) })}
        {suggested !== undefined && <strong> → {print(suggested)}</strong>}
      </span>
    </span>
  );
}

/** In a sentence: what is reserved in vain, or why nothing is suggested. */
function sentence(row: EfficiencyRow): string {
  if (row.held === 'history') return say('efficiency.held.history', { n: hours(row) });
  if (row.held) return say(`efficiency.held.${row.held}`);
  if (!isWasteful(row)) return say('efficiency.fits');
  const cpu = row.cpus.suggested !== undefined && say('efficiency.cpus', { n: cpus(row.wasted.cpus) });
  const memory = row.mem_mb.suggested !== undefined && mebibytes(row.wasted.mem_mb);
  const all = [cpu, memory].filter((part) => part !== false);
  return say('efficiency.givesBack', { all: all.join(` ${say('efficiency.and')} `) });
}

const columns = (words: readonly string[], ask: (row: EfficiencyRow) => void): Column<EfficiencyRow>[] => [
  {
    id: 'service',
    head: say('search.service'),
    width: 'minmax(150px, 1.5fr)',
    phone: 'top',
    compare: (a, b) => byName(a.app_id, b.app_id),
    cell: (row) => (
      <span className={css.lines}>
        <Link href={appHref(row.app_id)} className={rowLink}>
          <strong>
            <Marked text={row.app_id} words={words} />
          </strong>
        </Link>
        <span className={css.second}>{say('count.instances', { n: row.instances })}</span>
      </span>
    ),
  },
  {
    id: 'cpu',
    head: say('list.cpu'),
    width: 'minmax(150px, 1.2fr)',
    phone: 'detail',
    compare: (a, b) => a.wasted.cpus - b.wasted.cpus,
    cell: (row) => <Advice advice={row.cpus} of="cpu" row={row} />,
  },
  {
    id: 'memory',
    head: say('list.memory'),
    width: 'minmax(170px, 1.2fr)',
    phone: 'detail',
    compare: (a, b) => a.wasted.mem_mb - b.wasted.mem_mb,
    cell: (row) => <Advice advice={row.mem_mb} of="memory" row={row} />,
  },
  {
    id: 'sentence',
    head: say('efficiency.what'),
    width: 'minmax(150px, 1.4fr)',
    phone: 'foot',
    from: 760,
    cell: (row) => <span className={isWasteful(row) ? css.sentence : 'muted'}>{sentence(row)}</span>,
  },
  {
    id: 'change',
    head: say('efficiency.change'),
    width: '104px',
    align: 'end',
    phone: 'end',
    cell: (row) =>
      isWasteful(row) && (
        <span className={rowAction}>
          <Button onClick={() => ask(row)} aria-label={say('efficiency.changeOf', { id: row.app_id })}>
            {say('efficiency.change…')}
          </Button>
        </span>
      ),
  },
];

export default function Efficiency() {
  const { data, error, refetch } = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => api.efficiency(signal),
    staleTime: 0,
    refetchInterval: AGAIN_MS,
  });
  useRenewed(KEY, useFromRows('apps', newest));
  const [asked, setAsked] = useState<EfficiencyRow>();
  const [search, setSearch] = useSearchParams();
  const line = useFilter(search.get('q') ?? '', (q) => setSearch(q ? { q } : {}, { replace: true }));
  const [sort, setSort] = useState<Sort>();
  const all = data?.services ?? [];
  const words = { name: 'efficiency', label: say('efficiency.filter'), placeholder: say('efficiency.filterHint'), none: say('efficiency.noMatch') };
  const { found, query, filter } = useListFilter(all, EFFICIENCY, words, line, all.length < 2);
  const table = useMemo(() => columns(query.words, setAsked), [query]);
  const rows = useMemo(() => sorted(found, table, sort), [found, table, sort]);
  return (
    <>
      <Title text={say('nav.efficiency')} />
      <PageHead title={say('nav.efficiency')} sub={data && <Sum services={all} total={data.total} />} />
      <Panel flush>
        {error && <Failure error={error} retry={() => void refetch()} />}
        {!data && !error && <Skeleton />}
        {data && all.length === 0 && <Empty title={say('efficiency.none')} />}
        {filter}
        {rows.length > 0 && (
          <Table label={say('nav.efficiency')} columns={table} rows={rows} rowKey={(row) => row.app_id} sort={sort} onSort={setSort} />
        )}
      </Panel>
      <p className="muted">{say('efficiency.how')}</p>
      {asked && <Ask row={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}

function Sum({ services, total }: { services: readonly EfficiencyRow[]; total: { cpus: number; mem_mb: number } }) {
  const some = services.filter(isWasteful);
  if (some.length === 0) return <span>{say('efficiency.nothing')}</span>;
  const sum = (of: (wasted: EfficiencyRow['wasted']) => number) => some.reduce((n, row) => n + of(row.wasted), 0);
  const [wastedCpus, wastedMem] = [sum((wasted) => wasted.cpus), sum((wasted) => wasted.mem_mb)];
  return (
    <span>
      {say('efficiency.sum', {
        n: some.length,
        cpus: cpus(wastedCpus),
        cpuShare: percent(wastedCpus, total.cpus),
        mem: mebibytes(wastedMem),
        memShare: percent(wastedMem, total.mem_mb),
      })}
    </span>
  );
}

/** The prepared change, with what it does and the way back. */
function Ask({ row, onClose }: { row: EfficiencyRow; onClose: () => void }) {
  const { app_id: id, cpus: cpu, mem_mb: mem } = row;
  const patch = {
    ...(cpu.suggested !== undefined && { cpus: cpu.suggested }),
    ...(mem.suggested !== undefined && { mem: mem.suggested }),
  };
  const before = {
    ...(cpu.suggested !== undefined && { cpus: cpu.reserved }),
    ...(mem.suggested !== undefined && { mem: mem.reserved }),
  };
  return (
    <Change
      title={say('efficiency.changeOf', { id })}
      verb={say('why.apply')}
      done={say('why.changing', { id })}
      change={(force) => api.change(id, patch, force)}
      undo={() => api.change(id, before, true)}
      onClose={onClose}
    >
      <ul className={css.changes}>
        {cpu.suggested !== undefined && (
          <li>
            {say('list.cpu')}: {cpus(cpu.reserved)} → <strong>{cpus(cpu.suggested)}</strong>,{' '}
            {say('efficiency.most', { size: cpus(cpu.used_most ?? 0), n: hours(row) })}
          </li>
        )}
        {mem.suggested !== undefined && (
          <li>
            {say('list.memory')}: {mebibytes(mem.reserved)} → <strong>{mebibytes(mem.suggested)}</strong>,{' '}
            {say('efficiency.most', { size: mebibytes(mem.used_most ?? 0), n: hours(row) })}
          </li>
        )}
      </ul>
      <p>
        {sentence(row)} {say('why.replaced')}
      </p>
      <Command text={curlOf(calls.change(id, patch))} />
    </Change>
  );
}
