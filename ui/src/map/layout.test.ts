import { describe, expect, test } from 'vitest';
import type { NodeSummary, PlacedInstance } from '../api/types';
import { codeOf, colourOf, contrast, hueOf, type Rgb } from './hue';
import { cellsOf, HEAT_FROM, layoutOf, neighbour, type Rect, treemap } from './layout';

/** The same numbers for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const area = ({ w, h }: Rect) => w * h;
const overlap = (a: Rect, b: Rect) =>
  Math.max(0, Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x)) *
  Math.max(0, Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y));

function node(i: number, more: Partial<NodeSummary> = {}): NodeSummary {
  return {
    id: `n${i}`,
    host: `10.0.0.${i}`,
    region: 'eu',
    zone: `z${i % 3}`,
    total: { cpus: 8, mem_mb: i % 2 ? 16384 : 65536, disk_mb: 1000, gpus: 0 },
    ...more,
  } as NodeSummary;
}

function instance(i: number, more: Partial<PlacedInstance> = {}): PlacedInstance {
  return { id: `i${i}`, app_id: `/a${i % 4}`, node_id: 'n0', state: 'running', cpus: 0.5, mem_mb: 128 * (1 + (i % 5)), disk_mb: 0, ...more };
}

describe('treemap', () => {
  const rect = { x: 10, y: 20, w: 613, h: 377 };
  for (const seed of [1, 2, 3, 4, 5]) {
    const next = numbers(seed);
    const weights = Array.from({ length: 5 + seed * 23 }, () => 0.01 + next() ** 3 * 50);
    const total = weights.reduce((a, b) => a + b);
    const rects = treemap(weights, rect);

    test(`areas are in proportion and add up (${seed})`, () => {
      rects.forEach((one, i) => expect(area(one) / area(rect)).toBeCloseTo((weights[i] ?? 0) / total, 6));
      expect(rects.reduce((sum, one) => sum + area(one), 0)).toBeCloseTo(area(rect), 4);
    });

    test(`nothing overlaps or sticks out (${seed})`, () => {
      const out = rects.map((one) => area(one) - overlap(one, rect));
      const shared = rects.flatMap((one, i) => rects.slice(i + 1).map((other) => overlap(one, other)));
      expect(Math.max(...out)).toBeLessThan(1e-6);
      expect(Math.max(...shared)).toBeLessThan(1e-6);
    });
  }

  test('equals are near squares', () => {
    for (const { w, h } of treemap(Array(48).fill(1), rect)) expect(Math.max(w / h, h / w)).toBeLessThan(2.5);
  });

  test('what weighs nothing has no area and takes none', () => {
    const rects = treemap([0, 3, 0, 1, 0], rect);
    expect(rects.map((one) => Math.round((area(one) / area(rect)) * 100))).toEqual([0, 75, 0, 25, 0]);
    expect(treemap([0, 0], rect).map(area)).toEqual([0, 0]);
    expect(treemap([], rect)).toEqual([]);
  });
});

describe('the cluster', () => {
  const nodes = Array.from({ length: 30 }, (_, i) => node(i));
  const laid = layoutOf(nodes, 'mem_mb', 900);
  const boxes = laid.zones.flatMap((zone) => zone.nodes);

  test('every node is there once, below its zone and inside of it', () => {
    expect(boxes.map((box) => box.node.id).sort()).toEqual(nodes.map((one) => one.id).sort());
    expect(laid.zones.map((zone) => zone.name)).toEqual(['eu / z0', 'eu / z1', 'eu / z2']);
    for (const zone of laid.zones) {
      for (const box of zone.nodes) expect(overlap(box.rect, zone.rect)).toBeCloseTo(area(box.rect), 6);
    }
    expect(boxes.flatMap((box, i) => boxes.slice(i + 1).map((other) => overlap(box.rect, other.rect))).every((shared) => shared === 0)).toBe(true);
  });

  test('four times the memory is about four times the area', () => {
    const mean = (mem: number) => {
      const these = boxes.filter((box) => box.node.total.mem_mb === mem);
      return these.reduce((sum, box) => sum + area(box.rect), 0) / these.length;
    };
    expect(mean(65536) / mean(16384)).toBeGreaterThan(3.6);
    expect(mean(65536) / mean(16384)).toBeLessThan(4.6);
  });

  test('the order of what comes does not matter', () => {
    expect(layoutOf([...nodes].reverse(), 'mem_mb', 900)).toEqual(laid);
  });

  test('a node without any of it still has a place', () => {
    const bare = node(77, { total: { cpus: 8, mem_mb: 1, disk_mb: 0, gpus: 0 } });
    const box = layoutOf([...nodes, bare], 'disk_mb', 900).zones.flatMap((zone) => zone.nodes).find((one) => one.node.id === 'n77');
    expect(area(box?.rect ?? { x: 0, y: 0, w: 0, h: 0 })).toBeGreaterThan(100);
  });

  test('many nodes are single cells, and each is large enough to be hit', () => {
    const many = Array.from({ length: 400 }, (_, i) => node(i, { zone: `z${i % 7}` }));
    const heat = layoutOf(many, 'cpus', 320);
    expect([laid.heat, heat.heat, many.length >= HEAT_FROM]).toEqual([false, true, true]);
    const least = Math.min(...heat.zones.flatMap((zone) => zone.nodes.map(({ rect }) => Math.min(rect.w, rect.h))));
    expect(least).toBeGreaterThan(14);
  });

  test('arrows reach every node and lead back', () => {
    const reached = new Set([0]);
    const todo = [0];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      for (const key of ['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown']) {
        const to = neighbour(boxes, at, key) ?? at;
        if (!reached.has(to)) todo.push(to);
        reached.add(to);
      }
    }
    expect(reached.size).toBe(boxes.length);
    expect([neighbour(boxes, 3, 'Home'), neighbour(boxes, 3, 'End'), neighbour(boxes, 3, 'x')]).toEqual([0, boxes.length - 1, undefined]);
  });
});

describe('instances of a node', () => {
  const body = { x: 5, y: 7, w: 200, h: 100 };
  const all = Array.from({ length: 40 }, (_, i) => instance(i, { used: { cpus: 0.1, mem_mb: 32 } }));
  const reserved = all.reduce((sum, one) => sum + one.mem_mb, 0);

  test('take the part of the body that they have of the node, from below; the rest is free', () => {
    const cells = cellsOf(all, 2 * reserved, body, 'mem_mb', 'reserved');
    expect(cells.reduce((sum, cell) => sum + area(cell.rect), 0)).toBeCloseTo(area(body) / 2, 6);
    expect(Math.min(...cells.map((cell) => cell.rect.y))).toBeCloseTo(body.y + body.h / 2, 6);
    const used = cellsOf(all, 2 * reserved, body, 'mem_mb', 'used');
    expect(used.reduce((sum, cell) => sum + area(cell.rect), 0)).toBeCloseTo((area(body) * 40 * 32) / (2 * reserved), 6);
  });

  test('more than there is fills the body and no more', () => {
    const cells = cellsOf(all, reserved / 3, body, 'mem_mb', 'reserved');
    expect(cells.reduce((sum, cell) => sum + area(cell.rect), 0)).toBeCloseTo(area(body), 6);
  });

  test('stay where they are when use changes, and say what part of it is used', () => {
    const before = cellsOf(all, reserved, body, 'mem_mb', 'reserved');
    const busy = all.map((one) => ({ ...one, used: { cpus: 0.4, mem_mb: 100 } })).reverse();
    const after = cellsOf(busy, reserved, body, 'mem_mb', 'reserved');
    expect(after.map((cell) => cell.rect)).toEqual(before.map((cell) => cell.rect));
    expect(after.map((cell) => cell.instance.id)).toEqual(before.map((cell) => cell.instance.id));
    expect(before.find((cell) => cell.instance.mem_mb === 128)?.used).toBeCloseTo(0.25);
    expect(cellsOf([instance(0)], 1000, body, 'mem_mb', 'reserved')[0]?.used).toBeUndefined();
  });
});

describe('the colour of a service', () => {
  const SURFACES: [boolean, Rgb, Rgb][] = [
    [false, [255, 255, 255], [245, 247, 250]],
    [true, [14, 20, 27], [21, 29, 39]],
  ];
  test('stands out on its theme, and text in the colour of the ground can be read on it', () => {
    for (const [dark, page, panel] of SURFACES) {
      for (let hue = 0; hue < 360; hue += 15) {
        const colour = colourOf(hue, dark);
        expect(contrast(colour, page), `${hue} ${dark}`).toBeGreaterThanOrEqual(4.5);
        expect(contrast(colour, panel), `${hue} ${dark}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });

  test('is the same each time, and names that differ little differ', () => {
    expect(hueOf('/shop/web')).toBe(hueOf('/shop/web'));
    const hues = new Set(Array.from({ length: 100 }, (_, i) => hueOf(`/load/app-${i}`)));
    expect(hues.size).toBeGreaterThan(15);
  });

  test('two letters stand for it', () => {
    expect(['/shop/web', '/demo/old-report', '/a', '/x/1.2', ''].map(codeOf)).toEqual(['we', 'or', 'a', '12', '?']);
  });
});
