// Where everything of the map of the cluster is: areas that stand for amounts, side by side without
// a rest, in an order that stays as long as the amounts do.
import type { NodeSummary, PlacedInstance } from '../api/types';
import { byName } from '../lib/format';

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** What areas stand for. */
export type Measure = 'cpus' | 'mem_mb' | 'disk_mb';
/** What cells stand for: what is promised, or what is measured. */
export type Share = 'reserved' | 'used';

/** More nodes than this are single cells, coloured by how full they are. */
export const HEAT_FROM = 201;
/** Room a node gets at least, in square pixels: with instances in it, and as one cell. */
const NODE_AREA = 8_000;
const HEAT_AREA = 1_500;
const HEIGHT_MIN = 380;
/** The name of a zone above its nodes, the name of a node above its instances. */
const ZONE_HEAD = 22;
const NODE_HEAD = 20;
/** A node lower or narrower than this has no room for a name. */
const HEAD_FROM = { w: 64, h: 44 };
const ZONE_GAP = 6;
const NODE_GAP = 2;

/**
 * Rectangles that fill `rect`, one for each weight in its order, of areas in proportion. Rows are
 * closed when another member would make their worst shape worse, so shapes stay near squares.
 */
export function treemap(weights: readonly number[], rect: Rect): Rect[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total <= 0 || rect.w <= 0 || rect.h <= 0) return weights.map(() => ({ x: rect.x, y: rect.y, w: 0, h: 0 }));
  const scale = (rect.w * rect.h) / total;
  const areas = weights.map((weight) => weight * scale);
  const out: Rect[] = [];
  let { x, y, w, h } = rect;
  for (let from = 0; from < areas.length; ) {
    const side = Math.min(w, h);
    const { to, sum } = row(areas, from, side);
    const isLast = areas.slice(to).every((area) => area <= 0);
    // The last row takes all that is left: no rounding leaves a line of nothing.
    const depth = side <= 0 ? 0 : isLast ? Math.max(w, h) : sum / side;
    let at = 0;
    for (let i = from; i < to; i++) {
      const length = sum > 0 ? ((areas[i] ?? 0) / sum) * side : 0;
      out.push(w >= h ? { x, y: y + at, w: depth, h: length } : { x: x + at, y, w: length, h: depth });
      at += length;
    }
    if (w >= h) {
      x += depth;
      w = Math.max(0, w - depth);
    } else {
      y += depth;
      h = Math.max(0, h - depth);
    }
    from = to;
  }
  return out;
}

/** How many of the areas make the next row along a side of this length, and their sum. */
function row(areas: readonly number[], from: number, side: number): { to: number; sum: number } {
  let [sum, least, most, worst] = [0, Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY];
  for (let to = from; to < areas.length; to++) {
    const area = areas[to] ?? 0;
    const next = sum + area;
    const [low, high] = [Math.min(least, area || least), Math.max(most, area)];
    const shape = Math.max((side * side * high) / (next * next), (next * next) / (side * side * low));
    if (to > from && shape > worst) return { to, sum };
    [sum, least, most] = [next, low, high];
    if (next > 0) worst = shape;
  }
  return { to: areas.length, sum };
}

export interface NodeBox {
  node: NodeSummary;
  rect: Rect;
  /** Where its instances are, below its name. */
  body: Rect;
  named: boolean;
}

export interface ZoneBox {
  name: string;
  rect: Rect;
  nodes: NodeBox[];
}

export interface Layout {
  width: number;
  height: number;
  /** Nodes are single cells. */
  heat: boolean;
  zones: ZoneBox[];
}

/** Zone by zone in the order of their names, the largest nodes first, areas in proportion to what they have. */
export function layoutOf(nodes: readonly NodeSummary[], measure: Measure, width: number): Layout {
  const heat = nodes.length >= HEAT_FROM;
  const zones = new Map<string, NodeSummary[]>();
  for (const node of nodes) {
    const name = [node.region, node.zone].filter(Boolean).join(' / ');
    const known = zones.get(name);
    if (known) known.push(node);
    else zones.set(name, [node]);
  }
  const named = [...zones].sort(([a], [b]) => byName(a, b));
  const weights = weightsOf(nodes, measure);
  const sum = (members: readonly NodeSummary[]) => members.reduce((n, node) => n + (weights.get(node.id) ?? 0), 0);
  const height = Math.max(HEIGHT_MIN, Math.ceil((nodes.length * (heat ? HEAT_AREA : NODE_AREA)) / Math.max(1, width)));
  const hasNames = named.some(([name]) => name !== '');
  const rects = treemap(named.map(([, members]) => sum(members)), { x: 0, y: 0, w: width, h: height });
  return {
    width,
    height,
    heat,
    zones: named.map(([name, members], i) => zoneBox(name, members, weights, rects[i] ?? NOWHERE, heat, hasNames)),
  };
}

const NOWHERE: Rect = { x: 0, y: 0, w: 0, h: 0 };

/** What each node has; one that has nothing of it still has a place to be seen. */
function weightsOf(nodes: readonly NodeSummary[], measure: Measure): Map<string, number> {
  const sum = nodes.reduce((n, node) => n + node.total[measure], 0);
  const least = sum > 0 ? (sum / nodes.length) * 0.05 : 1;
  return new Map(nodes.map((node) => [node.id, Math.max(least, node.total[measure])]));
}

function zoneBox(
  name: string,
  members: NodeSummary[],
  weights: ReadonlyMap<string, number>,
  rect: Rect,
  heat: boolean,
  hasNames: boolean,
): ZoneBox {
  const weightOf = (node: NodeSummary) => weights.get(node.id) ?? 0;
  // Nodes of one size side by side make rows that are easy to look along.
  const sorted = [...members].sort((a, b) => weightOf(b) - weightOf(a) || byName(a.host, b.host));
  const inner = inset(rect, hasNames ? ZONE_GAP / 2 : 0, hasNames ? ZONE_HEAD : 0);
  const rects = treemap(sorted.map(weightOf), inner);
  const nodes = sorted.map((node, i) => {
    const box = inset(rects[i] ?? NOWHERE, NODE_GAP / 2);
    const named = !heat && box.w >= HEAD_FROM.w && box.h >= HEAD_FROM.h;
    return { node, rect: box, body: heat ? box : inset(box, 1, named ? NODE_HEAD : 1), named };
  });
  return { name, rect, nodes };
}

function inset({ x, y, w, h }: Rect, by: number, top = by): Rect {
  return { x: x + by, y: y + top, w: Math.max(0, w - 2 * by), h: Math.max(0, h - top - by) };
}

export interface Cell {
  instance: PlacedInstance;
  rect: Rect;
  /** Part of what is reserved that is used, where that is measured. */
  used?: number;
}

/** Of an instance what it has reserved, or what it uses. */
export function amount(instance: PlacedInstance, measure: Measure, share: Share): number {
  if (share === 'reserved' || measure === 'disk_mb') return instance[measure];
  return instance.used?.[measure] ?? 0;
}

/** The greatest reservations first, those of one service together: use does not change the order. */
export function ordered(instances: readonly PlacedInstance[], measure: Measure): PlacedInstance[] {
  return [...instances].sort(
    (a, b) => b[measure] - a[measure] || byName(a.app_id, b.app_id) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}

/** The instances of a node in its body, from the bottom up; what is above them is free. */
export function cellsOf(instances: readonly PlacedInstance[], total: number, body: Rect, measure: Measure, share: Share): Cell[] {
  const sorted = ordered(instances, measure);
  const amounts = sorted.map((instance) => amount(instance, measure, share));
  const sum = amounts.reduce((n, part) => n + part, 0);
  const full = total > 0 ? Math.min(1, sum / total) : 0;
  const filled = { x: body.x, y: body.y + body.h * (1 - full), w: body.w, h: body.h * full };
  const rects = treemap(amounts, filled);
  return sorted.map((instance, i) => {
    const reserved = instance[measure];
    const used = measure === 'disk_mb' ? undefined : instance.used?.[measure];
    const part = used === undefined || reserved <= 0 ? undefined : Math.min(1, used / reserved);
    return { instance, rect: rects[i] ?? NOWHERE, ...(part !== undefined && { used: part }) };
  });
}

export function contains({ x, y, w, h }: Rect, px: number, py: number): boolean {
  return px >= x && py >= y && px < x + w && py < y + h;
}

const middle = ({ x, y, w, h }: Rect): [number, number] => [x + w / 2, y + h / 2];

/** The node an arrow key leads to: the nearest in its direction, one straight ahead before others. */
export function neighbour(boxes: readonly NodeBox[], from: number, key: string): number | undefined {
  if (key === 'Home') return 0;
  if (key === 'End') return boxes.length - 1;
  const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const start = boxes[from];
  if (!direction || !start) return undefined;
  const [dx = 0, dy = 0] = direction;
  const [x, y] = middle(start.rect);
  let best: number | undefined;
  let least = Number.POSITIVE_INFINITY;
  boxes.forEach((box, i) => {
    const [bx, by] = middle(box.rect);
    const ahead = (bx - x) * dx + (by - y) * dy;
    if (i === from || ahead <= 0.5) return;
    const aside = Math.abs((bx - x) * dy + (by - y) * dx);
    const far = ahead + 2.5 * aside;
    if (far < least) [least, best] = [far, i];
  });
  return best ?? from;
}
