// What people and the cluster did last, each in a line.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useFromRows, useRenewed } from '../api/hooks';
import type { HistoryRecord } from '../api/types';
import { Told } from '../components/said';
import { Age, Panel, Skeleton } from '../components/ui';
import { appHref, wayOf } from '../lib/format';
import { say } from '../words';
import css from './latest.module.css';

/** What has an end of its own stands in the lists beside it: crashes and checks are told as troubles. */
const KINDS: HistoryRecord['kind'][] = ['change', 'deployment', 'kill', 'node', 'access'];
const SHOWN = 8;
const ASK = { kind: KINDS.join(','), limit: SHOWN };
const KEY = ['latest'];

export default function Latest() {
  const { data } = useQuery({ queryKey: KEY, queryFn: ({ signal }) => api.history(ASK, signal), staleTime: 0 });
  // What is recorded comes with a change of one of these; nothing is asked for while nothing happens.
  const apps = useFromRows('apps', (rows) => rows.reduce((newest, { version }) => (version > newest ? version : newest), `${rows.length}`));
  const moving = useFromRows('deployments', (rows) => rows.map(({ id }) => id).join());
  const nodes = useFromRows('nodes', (rows) => rows.map(({ id, condition }) => id + condition).join());
  useRenewed(KEY, `${apps} ${moving} ${nodes}`);
  if (data?.records.length === 0) return null;
  return (
    <Panel title={say('dash.latest')} aside={<Link href="/activity">{say('dash.all')}</Link>} flush>
      {data ? (
        <ul className={css.list}>
          {data.records.map((record) => (
            <Line key={record.cursor} record={record} />
          ))}
        </ul>
      ) : (
        <Skeleton rows={4} />
      )}
    </Panel>
  );
}

function Line({ record }: { record: HistoryRecord }) {
  const { of, kind, text, by, at, bad, refused } = record;
  return (
    <li className={css.row} data-past data-bad={bad || undefined}>
      <span className={css.what}>
        {of?.startsWith('/') && <Link href={appHref(of)}>{of}</Link>}
        {of && !of.startsWith('/') && kind !== 'node' && <strong>{of}</strong>} <Told text={text} />
        {refused && (
          <span className="muted">
            : <Told text={refused} />
          </span>
        )}
      </span>
      <span className={css.by}>
        <Age at={at} ago />
        {by && ` · ${by.uid} · ${wayOf(by)}`}
      </span>
    </li>
  );
}
