// The filter line of the map: what is said of nodes, and which services run there.
import type { NodeSummary } from '../api/types';
import { NODES } from '../lib/filter';
import type { Language } from '../lib/query';
import { type Placed, placedNow } from './placed';

function servicesOn(placed: Placed, node: string): string[] {
  return (placed.byNode.get(node) ?? []).map(({ app_id }) => app_id);
}

export const PLACES: Language<NodeSummary> = {
  ...NODES,
  fields: {
    ...NODES.fields,
    service: {
      test: (node, value) => servicesOn(placedNow(), node.id).some((id) => id.toLowerCase().includes(value)),
      values: () => [...new Set([...placedNow().byNode.values()].flat().map(({ app_id }) => app_id))].filter(Boolean).sort(),
    },
  },
};

/** The one service that a filter names, which then stands out. */
export function serviceOf(line: string, placed: Placed): string | undefined {
  const value = /(?:^|\s)service:"?([^\s"]+)"?/i.exec(line)?.[1]?.toLowerCase();
  if (!value) return undefined;
  const ids = [...new Set([...placed.byNode.values()].flat().map(({ app_id }) => app_id))];
  const found = ids.filter((id) => id.toLowerCase().includes(value));
  return ids.find((id) => id.toLowerCase() === value) ?? (found.length === 1 ? found[0] : undefined);
}
