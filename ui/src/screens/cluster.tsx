// The parts of the cluster itself: masters, what the leading one does, the releases of the nodes, the level.
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../api/client';
import { useFromRows, useRows, useStatus } from '../api/hooks';
import type { Master, NodeSummary, Reconciler } from '../api/types';
import { Told } from '../components/said';
import { StatusLabel } from '../components/status';
import { type Column, Table } from '../components/table';
import { Age, Button, Empty, Failure, Notice, PageHead, Panel, Skeleton } from '../components/ui';
import { byName } from '../lib/format';
import { type Look, look, lookOf, needsAttention } from '../lib/status';
import { number, say, sayAny } from '../words';
import { Change } from './actions';
import css from './cluster.module.css';
import { Title } from './services';

const LOOK_MS = 10_000;
/** What a part waits for: so many are told. */
const WAITS_MAX = 5;

const PARTS: Record<Master['part'], Look> = {
  leads: look('good', 'check', 'Leads'),
  decides: look('good', 'check', 'Decides'),
  follows: look('neutral', 'outline', 'Follows'),
  outside: look('attention', 'hourglass', 'Outside'),
};
const WORKS = look('good', 'check', 'Works');
const WAITS = look('attention', 'hourglass', 'Waits');
const REFUSED = look('attention', 'triangle', 'Refused');

export default function ClusterPage() {
  const masters = useQuery({ queryKey: ['masters'], queryFn: ({ signal }) => api.masters(signal), refetchInterval: LOOK_MS });
  const parts = useQuery({ queryKey: ['reconcilers'], queryFn: ({ signal }) => api.reconcilers(signal), refetchInterval: LOOK_MS });
  const name = useStatus((status) => status?.name);
  const id = useStatus((status) => status?.cluster_id);
  return (
    <>
      <Title text={say('nav.cluster')} />
      <PageHead
        title={say('nav.cluster')}
        sub={
          name && (
            <>
              <span>{name}</span>
              <code>{id}</code>
            </>
          )
        }
      />
      <Warnings />
      {masters.data?.stale && <Notice tone="bad">{say('cluster.stale')}</Notice>}
      <Panel title={say('cluster.masters')} aside={masters.data && <span className="muted">{say('cluster.term', { n: masters.data.term })}</span>} flush>
        <Loaded of={masters}>{masters.data && <Masters masters={masters.data.masters} />}</Loaded>
      </Panel>
      <Panel title={say('cluster.parts')} flush>
        <Loaded of={parts}>
          {parts.data?.reconcilers.length === 0 ? <Empty title={say('cluster.noParts')} /> : <Parts parts={parts.data?.reconcilers ?? []} />}
        </Loaded>
      </Panel>
      <Panel title={say('cluster.agents')} flush>
        <Agents />
      </Panel>
      <Level />
    </>
  );
}

/** What was asked for, or that it is not here. */
function Loaded({ of, children }: { of: { isError: boolean; isPending: boolean; error: unknown; refetch: () => unknown }; children: ReactNode }) {
  if (of.isError) return <Failure error={of.error} retry={() => void of.refetch()} />;
  return of.isPending ? <Skeleton rows={3} /> : children;
}

/** What troubles the masters; what is about a node stands with the nodes. */
function Warnings() {
  const all = useStatus((status) => status?.warnings);
  const own = (all ?? []).filter(({ node_id }) => !node_id);
  return own.map(({ code, message, hint }) => (
    <Notice key={code} tone="bad">
      <div lang="en">
        <strong>{message}</strong>
        {hint && <div>{hint}</div>}
      </div>
    </Notice>
  ));
}

const mastersColumns = (): Column<Master>[] => [
  { id: 'id', head: say('cluster.master'), width: '72px', phone: 'top', cell: ({ id }) => <strong className="nums">{id}</strong> },
  { id: 'part', head: say('cluster.does'), width: 'minmax(110px, 1fr)', phone: 'end', cell: ({ part }) => <StatusLabel look={PARTS[part]} /> },
  { id: 'router', head: say('cluster.door'), width: 'minmax(130px, 1.4fr)', phone: 'detail', cell: ({ router }) => <code>{router || '–'}</code> },
  { id: 'peers', head: say('cluster.peers'), width: 'minmax(130px, 1.4fr)', phone: 'none', from: 820, cell: ({ peers }) => <code>{peers || '–'}</code> },
  {
    id: 'behind',
    head: say('cluster.behind'),
    width: '150px',
    align: 'end',
    phone: 'detail',
    cell: ({ behind }) => <span className="nums">{behind === undefined ? '–' : say('cluster.entries', { n: behind })}</span>,
  },
  {
    id: 'release',
    head: say('cluster.release'),
    width: '120px',
    align: 'end',
    phone: 'foot',
    from: 620,
    cell: ({ release, level }) => (
      <span className="nums">
        {release} <span className="muted">{say('cluster.canLevel', { n: level })}</span>
      </span>
    ),
  },
];

function Masters({ masters }: { masters: readonly Master[] }) {
  return <Table label={say('cluster.masters')} columns={mastersColumns()} rows={masters} rowKey={({ id }) => `${id}`} />;
}

/** The reconcilers: each looks at the state again and again and does what is to be done. */
function Parts({ parts }: { parts: readonly Reconciler[] }) {
  return (
    <ul className={css.parts}>
      {parts.map((part) => (
        <li key={part.name}>
          <div className={css.part}>
            <span className={css.what}>
              <strong>{sayAny(`cluster.part.${part.name}`) ?? part.name}</strong>
              <Told text={part.looks_at} className="muted" />
            </span>
            <StatusLabel look={part.refused ? REFUSED : part.waits_total > 0 ? WAITS : WORKS} />
            <span className={`nums muted ${css.ran}`}>
              {part.last_run_at && (
                <>
                  <Age at={part.last_run_at} ago /> · {say('cluster.took', { ms: number(part.last_run_ms, 1) })}
                </>
              )}
            </span>
          </div>
          {part.refused && <Told text={part.refused} className={css.because} />}
          {part.waits.slice(0, WAITS_MAX).map(({ about, because }) => (
            <Told key={about} text={`${about}: ${because}`} className={css.because} />
          ))}
          {part.waits_total > WAITS_MAX && <span className={css.because}>{say('cluster.moreWaits', { n: part.waits_total - WAITS_MAX })}</span>}
        </li>
      ))}
    </ul>
  );
}

/** The nodes by their release, and which of them are in trouble. */
function Agents() {
  const nodes = useRows('nodes');
  if (nodes.length === 0) return <Empty title={say('cluster.noAgents')} />;
  const releases = new Map<string, NodeSummary[]>();
  for (const node of nodes) releases.set(node.version, [...(releases.get(node.version) ?? []), node]);
  return (
    <ul className={css.parts}>
      {[...releases].sort(([a], [b]) => byName(b, a)).map(([release, all]) => {
        const troubled = all.filter(needsAttention);
        return (
          <li key={release} className={css.part}>
            <span className={css.what}>
              <strong>tepui {release}</strong>
              <span className="muted">{say('count.nodes', { n: all.length })}</span>
            </span>
            {troubled.length === 0 ? (
              <StatusLabel look={WORKS} />
            ) : (
              <span>
                {troubled.slice(0, WAITS_MAX).map((node) => (
                  <span key={node.id} className={css.node}>
                    <StatusLabel look={lookOf(node.verdict.state)} /> <Link href={`/nodes/${node.id}`}>{node.host}</Link>
                  </span>
                ))}
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** What all can do, and what holds the next level back. */
function Level() {
  const { data, refetch } = useQuery({ queryKey: ['level'], queryFn: ({ signal }) => api.level(signal), refetchInterval: LOOK_MS });
  const [asked, setAsked] = useState(false);
  const nodes = useFromRows('nodes', (rows) => rows.length);
  if (!data) return null;
  const { level, known, held_back_by: held } = data;
  return (
    <Panel
      title={say('cluster.level')}
      aside={level < known && held.length === 0 && <Button onClick={() => setAsked(true)}>{say('cluster.raise…', { to: known })}</Button>}
    >
      <p>{level < known ? say('cluster.levelOf', { level, known }) : say('cluster.levelTop', { level })}</p>
      {held.length > 0 && (
        <>
          <p>{say('cluster.held')}</p>
          <ul className={css.held}>
            {held.map((one) => (
              <li key={one} lang="en">
                {one}
              </li>
            ))}
          </ul>
        </>
      )}
      {asked && (
        <Change
          title={say('cluster.raiseTitle', { to: known })}
          verb={say('cluster.raise', { to: known })}
          danger
          command="tepui cluster raise"
          done={say('cluster.raised', { to: known })}
          change={async () => {
            await api.raise(known);
            await refetch();
          }}
          onClose={() => setAsked(false)}
        >
          <p>{say('cluster.raiseAbout', { n: nodes })}</p>
        </Change>
      )}
    </Panel>
  );
}
