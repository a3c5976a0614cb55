// What the filter lines of the lists know of their rows.
import type { AppSummary, Instance, InstanceCondition, NodeCondition, NodeSummary } from '../api/types';
import { type Language, parse } from './query';
import { ended, needsAttention, SEVERITY } from './status';

/** A row's text in small letters, made once: rows never change, they are replaced. */
function textOf<T extends object>(make: (row: T) => string): (row: T) => string {
  const made = new WeakMap<T, string>();
  return (row) => {
    const known = made.get(row);
    if (known !== undefined) return known;
    const text = make(row).toLowerCase();
    made.set(row, text);
    return text;
  };
}

function pairs(all: Record<string, string>): string[] {
  return Object.entries(all).map(([key, value]) => (value ? `${key}=${value}` : key));
}

/** Each level above the rows: `/prod` and `/prod/search` of `/prod/search/indexer`. */
export function groupsOf(id: string): string[] {
  const parts = id.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

const APP_IS: Record<string, (app: AppSummary) => boolean> = {
  attention: needsAttention,
  healthy: ({ instances }) => instances.running > 0 && instances.healthy === instances.running,
};
const APP_HAS: Record<string, (app: AppSummary) => boolean> = {
  checks: (app) => app.has_health_checks,
  url: (app) => !!app.service_url,
  deployment: (app) => app.deployments.length > 0,
  ports: (app) => app.ports.length > 0,
};

export const APPS: Language<AppSummary> = {
  text: textOf((app) => `${app.id} ${app.image ?? ''} ${app.cmd ?? ''}`),
  fields: {
    is: {
      test: (app, value) => APP_IS[value]?.(app) ?? app.condition === value,
      values: () => [...Object.keys(APP_IS), ...SEVERITY],
      closed: true,
    },
    has: { test: (app, value) => !!APP_HAS[value]?.(app), values: () => Object.keys(APP_HAS), closed: true },
    label: {
      test: (app, value) => pairs(app.labels).some((pair) => pair.toLowerCase().includes(value)),
      values: (apps) => apps.flatMap((app) => pairs(app.labels)).sort(),
    },
    image: {
      test: (app, value) => !!app.image?.toLowerCase().includes(value),
      values: (apps) => apps.flatMap((app) => app.image ?? []).sort(),
    },
    group: {
      test: (app, value) => app.id.toLowerCase().startsWith(`${value.replace(/^\/?/, '/').replace(/\/$/, '')}/`),
      values: (apps) => apps.flatMap((app) => groupsOf(app.id)).sort(),
    },
  },
};

const NODE_IS: NodeCondition[] = ['active', 'engine_down', 'draining', 'drained', 'deactivated', 'unreachable'];

export const NODES: Language<NodeSummary> = {
  text: textOf((node) => `${node.host} ${node.id} ${node.roles.join(' ')}`),
  fields: {
    is: {
      test: (node, value) => node.condition === value,
      values: () => NODE_IS,
      closed: true,
    },
    role: {
      test: (node, value) => node.roles.some((role) => role === value),
      values: (nodes) => nodes.flatMap((node) => node.roles).sort(),
    },
    zone: {
      test: (node, value) => (node.zone ?? '').toLowerCase() === value,
      values: (nodes) => nodes.flatMap((node) => node.zone ?? []).sort(),
    },
    region: {
      test: (node, value) => (node.region ?? '').toLowerCase() === value,
      values: (nodes) => nodes.flatMap((node) => node.region ?? []).sort(),
    },
    attribute: {
      test: (node, value) => pairs(node.attributes).some((pair) => pair.toLowerCase().includes(value)),
      values: (nodes) => nodes.flatMap((node) => pairs(node.attributes)).sort(),
    },
  },
};

const INSTANCE_CONDITIONS: InstanceCondition[] = [
  'scheduled',
  'staging',
  'starting',
  'running',
  'killing',
  'unreachable',
  'finished',
  'failed',
  'killed',
  'lost',
  'gone',
];
const INSTANCE_IS: Record<string, (task: Instance) => boolean> = {
  healthy: (task) => task.healthy === true,
  unhealthy: (task) => task.healthy === false,
  ended,
};

export const INSTANCES: Language<Instance> = {
  text: textOf((task) => `${task.task_id ?? task.id} ${task.app_id} ${task.host ?? ''} ${task.message ?? ''}`),
  fields: {
    is: {
      test: (task, value) => INSTANCE_IS[value]?.(task) ?? task.condition === value,
      values: () => [...Object.keys(INSTANCE_IS), ...INSTANCE_CONDITIONS],
      closed: true,
    },
    node: {
      test: (task, value) => (task.host ?? '').toLowerCase().startsWith(value),
      values: (tasks) => tasks.flatMap((task) => task.host ?? []).sort(),
    },
    version: {
      test: (task, value) => (task.version ?? '').toLowerCase().startsWith(value),
      values: (tasks) => tasks.flatMap((task) => task.version ?? []).sort().reverse(),
    },
  },
};

export function matches(app: AppSummary, query: string): boolean {
  return parse(query, APPS).test(app);
}
