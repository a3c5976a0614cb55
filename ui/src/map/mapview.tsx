// The map of the nodes that a filter finds, with what runs there.
import { useMemo } from 'react';
import type { NodeSummary } from '../api/types';
import { Empty, Skeleton } from '../components/ui';
import type { parse } from '../lib/query';
import { say } from '../words';
import ClusterMap from './map';
import css from './map.module.css';
import { serviceOf } from './places';
import { usePlaced } from './placed';

export default function MapView({ nodes, query, line }: {
  nodes: readonly NodeSummary[];
  query: ReturnType<typeof parse<NodeSummary>>;
  line: string;
}) {
  const placed = usePlaced();
  // What a node runs may be asked for, so what is known of that has a say.
  const found = useMemo(() => nodes.filter(query.test), [nodes, query, placed]);
  const service = useMemo(() => serviceOf(line, placed), [line, placed]);
  if (!placed.loaded) return <Skeleton rows={8} />;
  if (found.length === 0) return <Empty title={say('nodes.noMatch')} />;
  return (
    <div className={css.panel}>
      <ClusterMap nodes={found} placed={placed} service={service} />
    </div>
  );
}
