// Services by their groups: a line per group with the sums of what is below it, folded or not.
import type { AppSummary } from '../api/types';
import { needsAttention, SEVERITY } from './status';

export interface GroupLine {
  kind: 'group';
  /** `/prod/search`. */
  id: string;
  /** The id without that of the group above it. */
  name: string;
  level: number;
  members: AppSummary[];
  /** The member in the worst state. */
  worst: AppSummary;
  troubled: number;
}

export interface AppLine {
  kind: 'app';
  id: string;
  name: string;
  level: number;
  app: AppSummary;
}

/** A row of the list of services. */
export type Line = GroupLine | AppLine;

type Lines = WeakMap<AppSummary, AppLine>;
/** A service's lines, the same as long as they tell the same: a row is drawn anew when its line is another. */
const flats: Lines = new WeakMap();
const branches: Lines = new WeakMap();

function lineOf(lines: Lines, app: AppSummary, name: string, level: number): AppLine {
  const known = lines.get(app);
  if (known?.name === name && known.level === level) return known;
  const line: AppLine = { kind: 'app', id: app.id, name, level, app };
  lines.set(app, line);
  return line;
}

export const flat = (apps: readonly AppSummary[]): AppLine[] => apps.map((app) => lineOf(flats, app, app.id, 0));

const RANK: Partial<Record<string, number>> = Object.fromEntries(SEVERITY.map((condition, at) => [condition, at]));

export function severity(app: AppSummary): number {
  return RANK[app.condition] ?? SEVERITY.length;
}

const severityOf = (line: Line) => severity(line.kind === 'app' ? line.app : line.worst);

/** Worst first: what a reader should look at. */
export function bySeverity(a: Line, b: Line): number {
  return severityOf(a) - severityOf(b);
}

export const members = (line: Line): readonly AppSummary[] => (line.kind === 'app' ? [line.app] : line.members);

/** The sum of something over a service or all services of a group. */
export function sum(line: Line, of: (app: AppSummary) => number): number {
  return members(line).reduce((total, app) => total + of(app), 0);
}

/** Instances of a line, added up. */
export function instancesOf(line: Line): AppSummary['instances'] {
  const add = (key: Exclude<keyof AppSummary['instances'], 'resume_to'>) => sum(line, (app) => app.instances[key]);
  return {
    wanted: add('wanted'),
    running: add('running'),
    healthy: add('healthy'),
    unhealthy: add('unhealthy'),
    staging: add('staging'),
    starting: add('starting'),
    stopping: add('stopping'),
  };
}

/** When anything of the line became another version. */
export function changedAt(line: Line): string {
  return members(line).reduce((last, app) => (app.version > last ? app.version : last), '');
}

interface Branch {
  id: string;
  groups: Map<string, Branch>;
  apps: AppSummary[];
  all: AppSummary[];
}

const branch = (id: string): Branch => ({ id, groups: new Map(), apps: [], all: [] });

function grown(apps: readonly AppSummary[]): Branch {
  const root = branch('');
  for (const app of apps) {
    const parts = app.id.split('/').slice(1, -1);
    let at = root;
    at.all.push(app);
    for (const part of parts) {
      const id = `${at.id}/${part}`;
      const next = at.groups.get(part) ?? branch(id);
      at.groups.set(part, next);
      next.all.push(app);
      at = next;
    }
    at.apps.push(app);
  }
  return root;
}

function groupLine({ id, all }: Branch, above: Branch, level: number): GroupLine {
  const worst = all.reduce((a, b) => (severity(b) < severity(a) ? b : a));
  const name = id.slice(above.id.length + 1);
  return { kind: 'group', id, name, level, members: all, worst, troubled: all.filter(needsAttention).length };
}

function appLine(app: AppSummary, above: Branch, level: number): AppLine {
  return lineOf(branches, app, app.id.slice(above.id.length + 1), level);
}

/** The group that has something to choose from: one that holds nothing but another is passed over. */
function passed(group: Branch): Branch {
  let at = group;
  while (at.apps.length === 0 && at.groups.size === 1) at = [...at.groups.values()][0] ?? at;
  return at;
}

/** All lines that are to be seen, siblings in the order of `compare`. */
export function tree(
  apps: readonly AppSummary[],
  isOpen: (group: string) => boolean,
  compare: (a: Line, b: Line) => number,
): Line[] {
  const lines: Line[] = [];
  const walk = (at: Branch, level: number) => {
    const below: [Line, Branch | undefined][] = [];
    for (const group of at.groups.values()) {
      const [only] = group.all;
      const shown = passed(group);
      // A group of one needs no line of its own.
      if (only && group.all.length === 1) below.push([appLine(only, at, level), undefined]);
      else below.push([groupLine(shown, at, level), shown]);
    }
    for (const app of at.apps) below.push([appLine(app, at, level), undefined]);
    below.sort(([a], [b]) => compare(a, b));
    for (const [line, group] of below) {
      lines.push(line);
      if (group && isOpen(group.id)) walk(group, level + 1);
    }
  };
  walk(grown(apps), 0);
  return lines;
}

/** The rows' keys: a group and a service may have the same id. */
export const lineKey = (line: Line): string => (line.kind === 'group' ? `${line.id}/` : line.id);
