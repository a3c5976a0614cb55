// The map on its canvas: cells of instances, or nodes as cells when there are many. Names, links and
// marks of nodes lie above it as elements of the page.
import { lookOf, type Shape, type Tone } from '../lib/status';
import { codeOf, colourOf, css, hueOf, luminance, nameOf, type Rgb } from './hue';
import type { Cell, Layout, Measure, NodeBox, Rect } from './layout';

export type ColourBy = 'service' | 'state';

export interface Scene {
  layout: Layout;
  cells: ReadonlyMap<string, readonly Cell[]>;
  by: ColourBy;
  measure: Measure;
  /** How full nodes are, from 0 to 1, when they are single cells. */
  levels: ReadonlyMap<string, number>;
  /** The service whose instances stand out. */
  lit: string | undefined;
}

/** The colours of the page as it is now. */
export interface Palette {
  dark: boolean;
  page: string;
  panel: string;
  text: string;
  bad: string;
  tones: Record<Tone, string>;
  measures: Record<Measure, string>;
  font: string;
  forced: boolean;
}

/** Narrower cells have no gap to the next one, lower ones no sign, and so on. */
const GAP_FROM = 5;
const SIGN_FROM = 8;
const CODE_FROM = { w: 18, h: 13 };
const NAME_FROM = { w: 46, h: 15 };
const HATCH_STEP = 5;

export function paletteOf(at: HTMLElement): Palette {
  const probe = document.createElement('span');
  at.append(probe);
  const read = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const panel = read('panel');
  const palette: Palette = {
    dark: luminance(numbersOf(panel)) < 0.2,
    page: read('page'),
    panel,
    text: read('text'),
    bad: read('bad'),
    tones: { good: read('good'), moving: read('moving'), attention: read('attention'), bad: read('bad'), neutral: read('neutral') },
    measures: { cpus: read('cpu'), mem_mb: read('memory'), disk_mb: read('disk') },
    font: getComputedStyle(at).fontFamily,
    forced: matchMedia('(forced-colors: active)').matches,
  };
  probe.remove();
  return palette;
}

const numbersOf = (colour: string): Rgb => {
  const [r = 255, g = 255, b = 255] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
};

/** Draws all of it; the canvas is as large as the layout in pixels of the screen. */
export function paint(ctx: CanvasRenderingContext2D, scene: Scene, palette: Palette, density: number): void {
  const { layout } = scene;
  ctx.setTransform(density, 0, 0, density, 0, 0);
  ctx.clearRect(0, 0, layout.width, layout.height);
  const hatch = hatchOf(ctx, palette, density);
  for (const zone of layout.zones) {
    for (const box of zone.nodes) {
      if (layout.heat) heat(ctx, box, scene, palette);
      else cells(ctx, box, scene, palette, hatch);
      if (isGone(box)) cross(ctx, box.body, palette.bad);
    }
  }
}

export const isGone = ({ node }: NodeBox): boolean => lookOf(node.verdict.state).tone === 'bad';

/** Lines over what is reserved and not used. */
function hatchOf(ctx: CanvasRenderingContext2D, palette: Palette, density: number): CanvasPattern | null {
  const size = Math.round(HATCH_STEP * density);
  const tile = document.createElement('canvas');
  tile.width = tile.height = size;
  const lines = tile.getContext('2d');
  if (!lines) return null;
  lines.strokeStyle = palette.panel;
  lines.lineWidth = 1.4 * density;
  for (const at of [-size, 0, size]) {
    lines.moveTo(at, size);
    lines.lineTo(at + size, 0);
  }
  lines.stroke();
  const pattern = ctx.createPattern(tile, 'repeat');
  pattern?.setTransform(new DOMMatrix().scale(1 / density));
  return pattern;
}

function cells(ctx: CanvasRenderingContext2D, box: NodeBox, scene: Scene, palette: Palette, hatch: CanvasPattern | null): void {
  ctx.fillStyle = palette.page;
  fill(ctx, box.body);
  const { lit, by } = scene;
  for (const { instance, rect, used } of scene.cells.get(box.node.id) ?? []) {
    if (rect.w < 0.3 || rect.h < 0.3) continue;
    const gap = Math.min(rect.w, rect.h) >= GAP_FROM ? 0.5 : 0;
    const cell = { x: rect.x + gap, y: rect.y + gap, w: rect.w - 2 * gap, h: rect.h - 2 * gap };
    const look = lookOf(instance.state);
    const dim = lit !== undefined && instance.app_id !== lit;
    ctx.globalAlpha = dim ? 0.22 : 1;
    const colour = by === 'service' ? colourOfService(instance.app_id, palette) : palette.tones[look.tone];
    ctx.fillStyle = colour;
    fill(ctx, cell);
    if (used !== undefined && used < 0.97 && hatch && cell.h >= 3) {
      ctx.fillStyle = hatch;
      ctx.globalAlpha = dim ? 0.15 : 0.5;
      fill(ctx, { ...cell, h: cell.h * (1 - used) });
    }
    ctx.globalAlpha = dim ? 0.5 : 1;
    const isSigned = look.tone !== 'good' && Math.min(cell.w, cell.h) >= SIGN_FROM;
    if (isSigned) sign(ctx, look.shape, cell, palette);
    name(ctx, instance.app_id, cell, colour, palette, isSigned);
    if (lit !== undefined && !dim) {
      ctx.strokeStyle = palette.text;
      ctx.lineWidth = Math.min(2, Math.max(1, cell.w / 4));
      ctx.strokeRect(cell.x, cell.y, cell.w, cell.h);
    }
  }
  ctx.globalAlpha = 1;
}

const colours = new Map<string, string>();

export function colourOfService(id: string, { dark }: Pick<Palette, 'dark'>): string {
  const hue = hueOf(id);
  const key = `${hue} ${dark}`;
  const known = colours.get(key) ?? css(colourOf(hue, dark));
  colours.set(key, known);
  return known;
}

function fill(ctx: CanvasRenderingContext2D, { x, y, w, h }: Rect): void {
  ctx.fillRect(x, y, w, h);
}

/** The name of a service in its cell, as far as there is room for it. */
function name(
  ctx: CanvasRenderingContext2D,
  id: string,
  { x, y, w, h }: Rect,
  colour: string,
  palette: Palette,
  isSigned: boolean,
): void {
  const isLong = w >= NAME_FROM.w && h >= NAME_FROM.h;
  if (!isLong && (isSigned || w < CODE_FROM.w || h < CODE_FROM.h)) return;
  ctx.font = `600 11px ${palette.font}`;
  const room = w - 6 - (isSigned ? 14 : 0);
  const text = isLong ? shortened(ctx, nameOf(id), room) : codeOf(id);
  const height = isLong ? Math.min(h, 18) : h;
  if (text === '') return;
  const wide = ctx.measureText(text).width;
  const at = x + (isLong ? 3 : (w - wide) / 2);
  // On a ground of its own: hatching below letters is hard to read.
  ctx.fillStyle = colour;
  ctx.fillRect(at - 1, y + height / 2 - 7, wide + 2, 14);
  ctx.fillStyle = palette.panel;
  ctx.textBaseline = 'middle';
  ctx.fillText(text, at, y + height / 2 + 0.5);
}

const widths = new Map<string, number>();

function shortened(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  const width = (part: string) => {
    let known = widths.get(part);
    if (known === undefined) {
      if (widths.size > 5_000) widths.clear();
      known = ctx.measureText(part).width;
      widths.set(part, known);
    }
    return known;
  };
  if (width(text) <= room) return text;
  let n = Math.floor((text.length * room) / width(text));
  while (n > 0 && width(`${text.slice(0, n)}…`) > room) n -= 1;
  return n > 0 ? `${text.slice(0, n)}…` : '';
}

/** What an instance that is not simply up is told by: a shape, at the right of its cell. */
function sign(ctx: CanvasRenderingContext2D, shape: Shape, { x, y, w, h }: Rect, palette: Palette): void {
  const size = Math.min(12, w - 2, h - 2);
  const [left, top] = [x + w - size - 1, y + Math.max(1, Math.min(3, (h - size) / 2))];
  ctx.fillStyle = palette.panel;
  ctx.fillRect(left, top, size, size);
  ctx.strokeStyle = ctx.fillStyle = palette.text;
  ctx.lineWidth = Math.max(1.2, size / 7);
  const [a, b, m] = [size * 0.22, size * 0.78, size / 2];
  ctx.beginPath();
  if (shape === 'octagon') {
    ctx.moveTo(left + a, top + a);
    ctx.lineTo(left + b, top + b);
    ctx.moveTo(left + b, top + a);
    ctx.lineTo(left + a, top + b);
  } else if (shape === 'triangle' || shape === 'hourglass') {
    ctx.moveTo(left + m, top + a * 0.8);
    ctx.lineTo(left + m, top + size * 0.6);
    ctx.moveTo(left + m, top + size * 0.74);
    ctx.lineTo(left + m, top + b * 1.1);
  } else if (shape === 'ring') {
    ctx.arc(left + m, top + m, size * 0.28, -Math.PI / 2, Math.PI);
  } else {
    ctx.arc(left + m, top + m, size * 0.12, 0, 2 * Math.PI);
  }
  ctx.stroke();
}

/** A node as one cell: the fuller, the stronger its colour, with the number where there is room. */
function heat(ctx: CanvasRenderingContext2D, box: NodeBox, scene: Scene, palette: Palette): void {
  const level = scene.levels.get(box.node.id) ?? 0;
  const { rect } = box;
  const has = scene.lit !== undefined && (scene.cells.get(box.node.id) ?? []).some(({ instance }) => instance.app_id === scene.lit);
  ctx.fillStyle = palette.page;
  fill(ctx, rect);
  ctx.fillStyle = palette.measures[scene.measure];
  ctx.globalAlpha = (0.06 + 0.46 * level) * (scene.lit !== undefined && !has ? 0.35 : 1);
  fill(ctx, rect);
  ctx.globalAlpha = 1;
  if (has) {
    ctx.strokeStyle = palette.text;
    ctx.lineWidth = 2;
    ctx.strokeRect(rect.x + 1, rect.y + 1, rect.w - 2, rect.h - 2);
  }
  if (rect.w < 24 || rect.h < 14 || lookOf(box.node.verdict.state).shape !== 'check') return;
  ctx.font = `11px ${palette.font}`;
  ctx.fillStyle = palette.text;
  ctx.textBaseline = 'middle';
  const text = `${Math.round(level * 100)}`;
  ctx.fillText(text, rect.x + (rect.w - ctx.measureText(text).width) / 2, rect.y + rect.h / 2 + 0.5);
}

/** Nobody hears from it, or nothing can be started there. */
function cross(ctx: CanvasRenderingContext2D, { x, y, w, h }: Rect, colour: string): void {
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.globalAlpha = 0.1;
  ctx.fillRect(x, y, w, h);
  ctx.globalAlpha = 1;
  ctx.lineWidth = Math.min(3, Math.max(1.5, Math.min(w, h) / 12));
  ctx.beginPath();
  ctx.moveTo(x + 2, y + 2);
  ctx.lineTo(x + w - 2, y + h - 2);
  ctx.moveTo(x + w - 2, y + 2);
  ctx.lineTo(x + 2, y + h - 2);
  ctx.stroke();
}
