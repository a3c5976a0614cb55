// The cluster at a glance: zones, nodes in them, instances in those, areas standing for memory, CPUs or
// disk. The areas are on a canvas; every node is a link above it, so that keys and readers of the screen
// get everywhere.
import { type KeyboardEvent, memo, type PointerEvent, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { NodeSummary, PlacedInstance } from '../api/types';
import { Mark } from '../components/status';
import { percent } from '../lib/format';
import { lookOf } from '../lib/status';
import { say } from '../words';
import { About, type Chosen } from './about';
import { useChoice } from './choices';
import { type Cell, cellsOf, contains, layoutOf, type Measure, neighbour, type NodeBox, type Share } from './layout';
import { Legend } from './legend';
import css from './map.module.css';
import { type Palette, paint, paletteOf, type Scene } from './paint';
import type { Placed } from './placed';

const MEASURES = { cpu: 'cpus', memory: 'mem_mb', disk: 'disk_mb' } as const;

export default function ClusterMap({ nodes, placed, service }: {
  nodes: readonly NodeSummary[];
  placed: Placed;
  /** A service that the filter names: it stands out. */
  service?: string | undefined;
}) {
  const [area] = useChoice('area');
  const [show] = useChoice('show');
  const [by] = useChoice('by');
  const measure = MEASURES[area];
  const [frame, width] = useWidth();
  const steady = useSteady(nodes);
  const layout = useMemo(() => layoutOf(steady, measure, width), [steady, measure, width]);
  const boxes = useMemo(() => layout.zones.flatMap((zone) => zone.nodes), [layout]);
  const cells = useCells(boxes, placed, measure, show);
  const levels = useLevels(nodes, layout.heat, measure, show);
  const [chosen, choose] = useState<Chosen>();
  const [named, setNamed] = useState<string>();
  const lit = named ?? chosen?.instance?.app_id ?? service;
  const canvas = useCanvas(frame, useMemo(() => ({ layout, cells, levels, by, measure, lit }), [layout, cells, levels, by, measure, lit]));
  const [current, setCurrent] = useState<string>();
  const stop = boxes.some(({ node }) => node.id === current) ? current : boxes[0]?.node.id;

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') choose(undefined);
    const at = boxes.findIndex(({ node }) => node.id === (event.target as HTMLElement).dataset.node);
    const to = at < 0 ? undefined : neighbour(boxes, at, event.key);
    if (to === undefined) return;
    event.preventDefault();
    frame.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(boxes[to]?.node.id ?? '')}"]`)?.focus();
  };
  const at = (event: PointerEvent | React.MouseEvent): Chosen | undefined => {
    const node = (event.target as HTMLElement).closest<HTMLElement>('[data-node]')?.dataset.node;
    const place = frame.current?.getBoundingClientRect();
    if (!node || !place) return undefined;
    const [x, y] = [event.clientX - place.left, event.clientY - place.top];
    const cell = layout.heat ? undefined : cells.get(node)?.find(({ rect }) => contains(rect, x, y));
    return { node, instance: cell?.instance };
  };
  const onPointerMove = (event: PointerEvent) => {
    if (chosen?.pinned || event.pointerType === 'touch') return;
    const next = at(event);
    if (next?.node !== chosen?.node || next?.instance !== chosen?.instance) choose(next);
  };
  return (
    <>
      <Legend cells={cells} by={by} lit={lit} onName={setNamed} heat={layout.heat} measure={measure} share={show} />
      <div
        ref={frame}
        className={css.frame}
        style={{ height: layout.height }}
        onKeyDown={onKeyDown}
        onPointerMove={onPointerMove}
        onPointerLeave={() => !chosen?.pinned && choose(undefined)}
        // Before the link hears of it: on an instance a click holds it, beside one it leads to the node.
        onClickCapture={(event) => {
          const there = at(event);
          if (there?.instance && event.detail > 0) {
            event.preventDefault();
            choose(chosen?.pinned && chosen.instance === there.instance ? undefined : { ...there, pinned: true });
          }
        }}
        data-map
      >
        <canvas ref={canvas} className={css.canvas} aria-hidden data-state />
        {layout.zones.map((zone) => (
          <section key={zone.name} aria-label={zone.name ? say('map.zone', { name: zone.name }) : say('nav.nodes')}>
            {zone.name && (
              <h2 className={css.zone} style={{ left: zone.rect.x, top: zone.rect.y, width: zone.rect.w }}>
                <span className="truncate">{zone.name}</span>
              </h2>
            )}
            <ul>
              {zone.nodes.map((box) => (
                <NodeLink
                  key={box.node.id}
                  box={box}
                  text={textOf(box.node, measure, show)}
                  stop={box.node.id === stop}
                  onFocus={(id) => {
                    setCurrent(id);
                    choose({ node: id });
                  }}
                />
              ))}
            </ul>
          </section>
        ))}
      </div>
      <About chosen={chosen} nodes={nodes} placed={placed} measure={measure} onClose={() => choose(undefined)} />
    </>
  );
}

/** What the picture says of a node, in words. */
function textOf(node: NodeSummary, measure: Measure, share: Share): string {
  const part = share === 'used' ? (node.used?.[measure] ?? 0) : node.allocated[measure];
  const full = percent(part, node.total[measure]);
  const what = say(`map.area.${measure === 'cpus' ? 'cpu' : measure === 'mem_mb' ? 'memory' : 'disk'}`);
  const level = share === 'used' ? say('map.levelUsed', { what, full }) : say('map.levelReserved', { what, full });
  // Begins with what stands in the box.
  return `${node.host} ${lookOf(node.verdict.state).word}, ${level}, ${say('count.instances', { n: node.instances })}`;
}

const NodeLink = memo(function NodeLink({ box, text, stop, onFocus }: {
  box: NodeBox;
  text: string;
  stop: boolean;
  onFocus: (id: string) => void;
}) {
  const { node, rect, named } = box;
  const look = lookOf(node.verdict.state);
  const isActive = node.verdict.state === 'active';
  return (
    <li>
      <Link
        href={`/nodes/${node.id}`}
        className={`${css.node} ${css[look.tone]} ${isActive ? '' : css.away}`}
        style={{ left: rect.x, top: rect.y, width: rect.w, height: rect.h }}
        aria-label={text}
        tabIndex={stop ? 0 : -1}
        data-node={node.id}
        onFocus={() => onFocus(node.id)}
      >
        {(named || !isActive) && (
          <span className={css.nodeHead}>
            {named && <span className="truncate">{node.host}</span>}{' '}
            {!isActive && (
              <span className={css.nodeMark}>
                <Mark look={look} />
                {named && rect.w > 170 && look.word}
              </span>
            )}
          </span>
        )}
      </Link>
    </li>
  );
}, (a, b) => a.box === b.box && a.text === b.text && a.stop === b.stop);

function useWidth(): [RefObject<HTMLDivElement | null>, number] {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    setWidth(box.clientWidth);
    const observer = new ResizeObserver(() => setWidth(box.clientWidth));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** What the layout and the links depend on; use is measured anew all the time and is no part of it. */
function factsOf(node: NodeSummary): string {
  const { id, host, region, zone, total, verdict, instances } = node;
  return [id, host, region, zone, total.cpus, total.mem_mb, total.disk_mb, verdict.state, instances].join('\n');
}

/** The same nodes as long as nothing is another that the map's layout is made of. */
function useSteady(nodes: readonly NodeSummary[]): readonly NodeSummary[] {
  const kept = useRef<{ nodes: readonly NodeSummary[]; facts: string }>({ nodes: [], facts: '' });
  return useMemo(() => {
    const facts = nodes.map(factsOf).join('\n\n');
    if (facts !== kept.current.facts) kept.current = { nodes, facts };
    return kept.current.nodes;
  }, [nodes]);
}

/** The cells of every node; made anew only for those whose instances or place are others. */
function useCells(boxes: readonly NodeBox[], placed: Placed, measure: Measure, share: Share): ReadonlyMap<string, readonly Cell[]> {
  const kept = useRef(new Map<string, { of: unknown[]; cells: readonly Cell[] }>());
  return useMemo(() => {
    const next = new Map<string, { of: unknown[]; cells: readonly Cell[] }>();
    for (const box of boxes) {
      const instances = placed.byNode.get(box.node.id) ?? NONE;
      const of = [instances, box, measure, share];
      const known = kept.current.get(box.node.id);
      const isSame = known?.of.every((part, i) => part === of[i]);
      next.set(box.node.id, known && isSame ? known : { of, cells: cellsOf(instances, box.node.total[measure], box.body, measure, share) });
    }
    kept.current = next;
    return new Map([...next].map(([id, { cells }]) => [id, cells]));
  }, [boxes, placed, measure, share]);
}

const NONE: readonly PlacedInstance[] = [];

/** How full each node is in hundredths, the same as long as no number is another; only for single cells. */
function useLevels(nodes: readonly NodeSummary[], heat: boolean, measure: Measure, share: Share): ReadonlyMap<string, number> {
  const kept = useRef<{ text: string; levels: ReadonlyMap<string, number> }>({ text: '', levels: new Map() });
  return useMemo(() => {
    const level = ({ total, used, allocated }: NodeSummary) => {
      const part = share === 'used' ? (used?.[measure] ?? 0) : allocated[measure];
      return total[measure] > 0 ? Math.min(1, Math.round((part / total[measure]) * 100) / 100) : 0;
    };
    const levels = new Map(heat ? nodes.map((node) => [node.id, level(node)]) : []);
    const text = JSON.stringify([...levels]);
    if (text !== kept.current.text) kept.current = { text, levels };
    return kept.current.levels;
  }, [nodes, heat, measure, share]);
}

/** Draws the scene whenever it, or a colour of the page, is another. */
function useCanvas(frame: RefObject<HTMLElement | null>, scene: Scene): RefObject<HTMLCanvasElement | null> {
  const ref = useRef<HTMLCanvasElement>(null);
  const latest = useRef(scene);
  latest.current = scene;
  const palette = useRef<Palette>(undefined);
  const draw = useRef(() => {
    const canvas = ref.current;
    const ctx = canvas?.getContext('2d');
    if (!canvas || !ctx || !frame.current) return;
    const { layout } = latest.current;
    const density = Math.min(3, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(layout.width * density), Math.round(layout.height * density)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    palette.current ??= paletteOf(frame.current);
    paint(ctx, latest.current, palette.current, density);
  });
  useLayoutEffect(() => draw.current(), [scene]);
  useEffect(() => {
    const again = () => {
      palette.current = undefined;
      draw.current();
    };
    const themes = new MutationObserver(again);
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    const media = ['(prefers-color-scheme: dark)', '(prefers-contrast: more)', '(forced-colors: active)'].map((query) => matchMedia(query));
    for (const one of media) one.addEventListener('change', again);
    return () => {
      themes.disconnect();
      for (const one of media) one.removeEventListener('change', again);
    };
  }, []);
  return ref;
}
