// What the filter lines of volumes and of efficiency know of their rows.
import type { EfficiencyRow, Volume } from '../api/types';
import type { Language } from '../lib/query';

export const VOLUMES: Language<Volume> = {
  text: (volume) => `${volume.app_id} ${volume.path} ${volume.source ?? ''} ${volume.host ?? ''}`.toLowerCase(),
  fields: {
    is: { test: (volume, value) => volume.kind === value, values: () => ['persistent', 'host', 'external'], closed: true },
    node: {
      test: (volume, value) => (volume.host ?? '').toLowerCase().startsWith(value),
      values: (rows) => [...new Set(rows.flatMap(({ host }) => host ?? []))].sort(),
    },
    service: {
      test: (volume, value) => volume.app_id.toLowerCase() === value,
      values: (rows) => [...new Set(rows.map(({ app_id }) => app_id))].sort(),
    },
  },
};

/** Whether less would do. */
export const isWasteful = (row: EfficiencyRow) => row.cpus.suggested !== undefined || row.mem_mb.suggested !== undefined;

const IS: Record<string, (row: EfficiencyRow) => boolean> = {
  wasteful: isWasteful,
  fitting: (row) => !row.held && !isWasteful(row),
  unknown: (row) => row.held !== undefined,
};

export const EFFICIENCY: Language<EfficiencyRow> = {
  text: (row) => row.app_id.toLowerCase(),
  fields: { is: { test: (row, value) => !!IS[value]?.(row), values: () => Object.keys(IS), closed: true } },
};
